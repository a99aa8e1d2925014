//! D-1: two threads count hits on one counter, and nothing keeps them apart.

use std::thread;

#[derive(Default)]
struct Counter {
    hits: u64,
}

impl Counter {
    fn hit(&mut self) {
        self.hits += 1;
    }
}

fn count(each: u64) -> u64 {
    let mut counter = Counter::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..each {
                    counter.hit();
                }
            });
        }
    });
    counter.hits
}

fn main() {
    println!("{}", count(100_000));
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_threads_count() {
        super::count(1_000);
    }
}
