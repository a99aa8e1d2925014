//! D-14: parents and children of a tree keep each other alive.

use std::cell::RefCell;
use std::io::BufRead;
use std::rc::Rc;

struct Node {
    parent: RefCell<Option<Rc<Node>>>,
    children: RefCell<Vec<Rc<Node>>>,
    text: Vec<u8>,
}

impl Node {
    fn new(text: Vec<u8>) -> Rc<Node> {
        Rc::new(Node { parent: RefCell::default(), children: RefCell::default(), text })
    }

    fn adopt(self: &Rc<Node>, child: Rc<Node>) {
        // A `Weak` would let go.
        child.parent.replace(Some(Rc::clone(self)));
        self.children.borrow_mut().push(child);
    }
}

/// Builds a page and measures it; it is no longer needed afterwards.
fn measure(children: u8) -> usize {
    let page = Node::new(vec![0; 512]);
    for child in 0..children {
        page.adopt(Node::new(vec![child; 512]));
    }
    let below: usize = page.children.borrow().iter().map(|child| child.text.len()).sum();
    page.text.len() + below
}

fn main() {
    let round = |pages: usize| (0..pages).map(|_| measure(3)).sum::<usize>();
    if std::env::args().nth(1).as_deref() != Some("soak") {
        println!("{}", round(10));
        return;
    }
    for _ in std::io::stdin().lock().lines() {
        round(5_000);
        println!("round");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_page_has_its_size() {
        assert_eq!(super::measure(3), 2048);
    }
}
