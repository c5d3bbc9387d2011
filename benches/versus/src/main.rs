//! ringloop beside other runtimes, and beside hand-written loops, in one run.

mod plan;
mod servers;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let server = plan::Server::from_name(&args[1]).unwrap();
    let workload = plan::Workload::from_name(&args[2]).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    servers::serve(server, listener, workload).unwrap();
}
