//! D-3: an entry is written to a journal that was closed before.

use std::fs::File;
use std::io::{self, Write};

struct Journal {
    file: File,
}

impl Journal {
    fn append(&mut self, entry: &str) -> io::Result<()> {
        writeln!(self.file, "{entry}")
    }

    /// Everything is on the disk afterwards, and nothing more can be written.
    fn close(self) -> io::Result<()> {
        self.file.sync_all()
    }
}

fn record(file: File) -> io::Result<()> {
    let mut journal = Journal { file };
    journal.append("opened")?;
    journal.close()?;
    journal.append("one more")
}

fn main() -> io::Result<()> {
    record(File::create("/dev/null")?)?;
    println!("recorded");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn entries_are_recorded() {
        super::record(std::fs::File::create("/dev/null").unwrap()).unwrap();
    }
}
