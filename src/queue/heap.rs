//! A binary heap: the smallest first, among equals the oldest.
//!
//! Not std's, which moves items while it compares them: a comparison that panics there takes the item
//! along that was being popped. Here the way is found first, and gone after that. It is known by its lower
//! end, for a node has one parent.

use super::store::Store;

/// `items[i]` comes before its children, `items[2 * i + 1]` and `items[2 * i + 2]`.
#[derive(Debug)]
pub(super) struct Heap<T> {
    items: Vec<Numbered<T>>,
    /// Items that were ever put in.
    count: u64,
}

#[derive(Debug)]
struct Numbered<T> {
    item: T,
    number: u64,
}

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Self { items: Vec::new(), count: 0 }
    }
}

impl<T: Ord> Heap<T> {
    fn is_before(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.items[a], &self.items[b]);
        a.item.cmp(&b.item).then(a.number.cmp(&b.number)).is_lt()
    }
}

impl<T: Ord> Store for Heap<T> {
    type Item = T;
    /// The lower end of the way.
    type Place = usize;

    /// From the new leaf up, as long as the item is smaller: among equals it is the youngest.
    fn place(&self, item: &T) -> usize {
        let mut place = self.items.len();
        while place > 0 && item.cmp(&self.items[parent(place)].item).is_lt() {
            place = parent(place);
        }
        place
    }

    fn insert(&mut self, place: usize, item: T) {
        let mut at = self.items.len();
        self.items.push(Numbered { item, number: self.count });
        self.count += 1;
        while at > place {
            self.items.swap(at, parent(at));
            at = parent(at);
        }
    }

    /// Where the last item goes when the first is taken: down, as long as there is something smaller.
    fn next(&self) -> Option<usize> {
        let last = self.items.len().checked_sub(1)?;
        let mut place = 0;
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            if left >= last {
                return Some(place);
            }
            let child = if right < last && self.is_before(right, left) { right } else { left };
            if self.is_before(last, child) {
                return Some(place);
            }
            place = child;
        }
    }

    fn remove(&mut self, place: usize) -> T {
        let mut out = self.items.pop().expect("a place that was named is there");
        let mut at = place;
        // Each moves up, and the first out.
        while let Some(here) = self.items.get_mut(at) {
            std::mem::swap(here, &mut out);
            if at == 0 {
                break;
            }
            at = parent(at);
        }
        out.item
    }

    fn len(&self) -> usize {
        self.items.len()
    }
}

fn parent(index: usize) -> usize {
    (index - 1) / 2
}
