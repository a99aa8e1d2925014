//! A finished comparison as a document, and the document as a table, a file and a page.
//!
//! Everything is drawn from one [`Document`], so that the three cannot say different things.
//! Numbers are written by `units` alone. The page is one file: it asks nobody for anything, and
//! every text in it that came from elsewhere is escaped.
//!
//! Not here: writing files, printing (`tandem`).

mod document;
mod figures;
mod html;
mod page;
mod plot;
mod table;
pub mod units;

pub use self::document::{
    Aa, Answers, Block, Build, Capacity, CapacityProbe, CapacitySide, Cost, CostSide, Curve,
    CurvePoint, Data, Document, Generator, Histogram, Ledger, LoadPoint, Machine, Memory,
    MemoryPoint, Metric, MetricSide, Must, PathLine, PathSample, Pauses, PausesSide, Prices,
    Rubric, Run, Runtime, SCHEMA, SCHEMA_NAME, Series, Side, SideSlope, Sides, Slopes, Sources,
    Validity, VerdictLine,
};
pub use self::html::html;
pub use self::table::{blocks_csv, table};

/// The document as `result.json`.
pub fn json(document: &Document) -> String {
    let mut text = serde_json::to_string_pretty(document)
        .expect("its keys are texts and its numbers are written as numbers or null");
    text.push('\n');
    text
}
