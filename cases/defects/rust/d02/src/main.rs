//! D-2: two threads write to one map, and nothing keeps them apart.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

fn fill(each: u64) -> usize {
    let seen = Arc::new(HashMap::new());
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let seen = Arc::clone(&seen);
            thread::spawn(move || {
                for key in 0..each {
                    seen.insert(writer * each + key, key);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    seen.len()
}

fn main() {
    println!("{}", fill(100_000));
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_threads_fill() {
        super::fill(1_000);
    }
}
