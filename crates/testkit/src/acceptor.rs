//! A thread that accepts on a free port: what upstreams of tests stand on.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A running acceptor; ends when it is dropped, and the connections with it.
pub(crate) struct Acceptor {
    pub(crate) address: SocketAddr,
    _stop: watch::Sender<()>,
}

impl Acceptor {
    /// Starts it; `serve` is called for each connection, on a loop of the thread's own.
    pub(crate) fn start<F>(mut serve: impl FnMut(TcpStream) -> F + Send + 'static) -> Acceptor
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, mut stopped) = watch::channel(());
        let (say, heard) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a loop");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let _ = say.send(listener.local_addr().expect("it is bound"));
                let accepting = async {
                    loop {
                        let (stream, _) = listener.accept().await.expect("a connection");
                        start(serve(stream));
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    _ = stopped.changed() => {}
                }
            });
        });
        Acceptor { address: heard.recv().expect("it starts"), _stop: stop }
    }
}

#[expect(clippy::disallowed_methods, reason = "an upstream is no part of the gateway")]
pub(crate) fn start(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}
