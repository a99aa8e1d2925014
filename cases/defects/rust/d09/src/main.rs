//! D-9: of two replicas the first answers, and the task of the other waits for ever.

use std::io::BufRead;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc};

/// Asks both replicas and takes the first answer.
async fn ask(question: u64) -> u64 {
    let (answers, mut first) = mpsc::channel(1);
    for replica in 0..2 {
        let answers = answers.clone();
        tokio::spawn(async move {
            let buffer = vec![question as u8; 1024];
            if replica == 1 {
                // The slow one: its event never comes, and nobody cancels the task.
                Notify::new().notified().await;
            }
            let _ = answers.send(u64::from(buffer[0])).await;
        });
    }
    first.recv().await.expect("one of the two answers")
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}

fn main() {
    let runtime = runtime();
    let round = |asks: u64| (0..asks).map(|ask_| runtime.block_on(ask(ask_ % 7))).sum::<u64>();
    if std::env::args().nth(1).as_deref() != Some("soak") {
        println!("{}", round(700));
        return;
    }
    for _ in std::io::stdin().lock().lines() {
        round(5_000);
        println!("round");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_is_taken() {
        assert_eq!(runtime().block_on(ask(5)), 5);
    }
}
