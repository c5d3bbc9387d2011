//! CPU per request as bars, one block a workload, in a drawing that suits light and dark pages.
//!
//! The length of a bar is the ratio to limit-uring, so shorter is better, and the dashed line is the
//! best hand-written loop that is known.

use std::fmt::Write as _;

use crate::measure::Panel;
use crate::plan::Server;
use crate::report::cpu_ratio;

/// Blocks side by side.
const COLUMNS: usize = 2;
/// Pixels: a block, a bar with its gap, a block's title, the names, the longest bar.
const BLOCK: f64 = 440.0;
const LINE: f64 = 17.0;
const TITLE: f64 = 30.0;
const NAMES: f64 = 120.0;
const LONGEST: f64 = 250.0;
/// Pixels above the blocks.
const HEAD: f64 = 50.0;
/// Longer ratios are cut off; their number says what they are.
const MOST: f64 = 3.0;

const STYLE: &str = "\
<style>
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600 }
  .quiet { fill: #656d76 }
  .limit { fill: #8c959f }
  .ringloop { fill: #1a7f37 }
  .rival { fill: #54aeff }
  .one { stroke: #656d76; stroke-dasharray: 3 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .quiet { fill: #9198a1 }
    .limit { fill: #6e7681 }
    .ringloop { fill: #3fb950 }
    .rival { fill: #1f6feb }
    .one { stroke: #9198a1 }
  }
</style>
";

/// The drawing; none where limit-uring has no figures to compare with.
pub(crate) fn svg(panels: &[Panel], machine: &str) -> Option<String> {
    let blocks: Vec<(&Panel, Vec<(Server, f64)>)> = panels
        .iter()
        .map(|panel| (panel, bars(panel)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let tallest = blocks.iter().map(|(_, bars)| bars.len()).max()?;
    let height = TITLE + tallest as f64 * LINE + 14.0;
    let longest = blocks.iter().flat_map(|(_, bars)| bars).map(|&(_, ratio)| ratio);
    let scale = LONGEST / longest.fold(1.0, f64::max).min(MOST);

    let width = BLOCK * COLUMNS as f64;
    let total = HEAD + blocks.len().div_ceil(COLUMNS) as f64 * height;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {total}\" \
         width=\"{width}\" height=\"{total}\" role=\"img\">\n{STYLE}"
    );
    let title = "Server CPU per request, relative to limit-uring (shorter is better)";
    text(&mut svg, 10.0, 20.0, "title", title);
    text(&mut svg, 10.0, 38.0, "quiet", machine);
    for (i, (panel, bars)) in blocks.iter().enumerate() {
        let x = (i % COLUMNS) as f64 * BLOCK + 10.0;
        let y = HEAD + (i / COLUMNS) as f64 * height;
        block(&mut svg, (x, y), panel, bars, scale);
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// The ratio of each server that has one.
fn bars(panel: &Panel) -> Vec<(Server, f64)> {
    let ratio = |server| Some((server, cpu_ratio(panel, server, Server::LimitUring)?.median));
    panel.rows.iter().filter_map(|row| ratio(row.server)).collect()
}

fn block(svg: &mut String, at: (f64, f64), panel: &Panel, bars: &[(Server, f64)], scale: f64) {
    let (x, y) = at;
    text(svg, x, y + 18.0, "title", &panel.workload.to_string());
    let (left, top) = (x + NAMES, y + TITLE);
    for (i, &(server, ratio)) in bars.iter().enumerate() {
        let (line, length) = (top + i as f64 * LINE, ratio.min(MOST) * scale);
        let class = match server {
            Server::LimitUring | Server::LimitEpoll => "limit",
            Server::Ringloop
            | Server::RingloopSlices
            | Server::RingloopEpoll
            | Server::RingloopStream
            | Server::RingloopProtocol => "ringloop",
            _ => "rival",
        };
        text(svg, x, line + 11.0, "", server.name());
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{line:.1}\" width=\"{length:.1}\" \
             height=\"13\" rx=\"2\"/>"
        );
        text(svg, left + length + 5.0, line + 11.0, "quiet", &format!("{ratio:.2}"));
    }
    let (one, end) = (left + scale, top + bars.len() as f64 * LINE);
    let _ = writeln!(
        svg,
        "<line class=\"one\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{top:.1}\" y2=\"{end:.1}\"/>"
    );
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}
