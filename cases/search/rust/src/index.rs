//! The index: documents by name, the last followed change kept with each commit.
//!
//! What is added becomes visible, and safe, with [`Index::commit`]; the sequence is part of the
//! commit, so after a crash the index knows exactly how far it is. A reader sees documents and
//! sequence of one commit.
//!
//! Words are runs of letters and digits by the standard library's tables, in lower case; the
//! table of Unicode 15.0 that both languages share comes with the case's Go side.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock};

use case_service::admin::DigestRecord;
use tantivy::collector::{Count, TopDocs};
use tantivy::directory::MmapDirectory;
use tantivy::query::{BooleanQuery, BoostQuery, PhraseQuery, Query, TermQuery};
use tantivy::schema::{
    Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TantivyDocument, TextFieldIndexing,
    TextOptions, Value as _,
};
use tantivy::tokenizer::{LowerCaser, RemoveLongFilter, SimpleTokenizer, TextAnalyzer};
use tantivy::{IndexReader, IndexWriter, ReloadPolicy, Searcher, Term};

/// Memory of the writer before it writes a segment.
const WRITER_BYTES: usize = 64 << 20;
const WORDS: &str = "words";
/// Bytes of a word; longer ones are dropped.
const WORD_BYTES_MOST: usize = 255;

/// A document as it is put in.
pub struct Document {
    pub id: String,
    pub revision: i64,
    pub display_name: String,
    pub description: String,
    pub category: String,
}

/// How words must occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    All,
    Any,
    Phrase,
}

/// A document that was found.
pub struct Hit {
    pub id: String,
    pub score: f32,
    pub display_name: String,
}

/// What a search found.
pub struct Found {
    pub hits: Vec<Hit>,
    pub total: usize,
    pub sequence: i64,
}

/// Full text over documents.
pub struct Index {
    fields: Fields,
    writer: Mutex<IndexWriter>,
    reader: IndexReader,
    words: TextAnalyzer,
    seen: RwLock<Seen>,
}

/// One commit: documents, and the sequence that they stand for.
#[derive(Clone)]
struct Seen {
    searcher: Searcher,
    sequence: i64,
}

#[derive(Clone, Copy)]
struct Fields {
    id: Field,
    revision: Field,
    display_name: Field,
    description: Field,
    category: Field,
}

impl Index {
    /// Opens or makes the index in `folder`.
    ///
    /// # Errors
    /// A folder that cannot be written, an index of another make.
    pub fn open(folder: &Path) -> Result<Index, Box<dyn std::error::Error>> {
        std::fs::create_dir_all(folder)?;
        let mut schema = Schema::builder();
        let text = TextOptions::default().set_stored().set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer(WORDS)
                .set_index_option(IndexRecordOption::WithFreqsAndPositions),
        );
        let fields = Fields {
            id: schema.add_text_field("id", STRING | STORED),
            revision: schema.add_i64_field("revision", STORED | INDEXED),
            display_name: schema.add_text_field("display_name", text.clone()),
            description: schema.add_text_field("description", text),
            category: schema.add_text_field("category", STRING | STORED),
        };
        let index = tantivy::Index::open_or_create(MmapDirectory::open(folder)?, schema.build())?;
        let words = TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(RemoveLongFilter::limit(WORD_BYTES_MOST + 1))
            .filter(LowerCaser)
            .build();
        index.tokenizers().register(WORDS, words.clone());
        let writer = index.writer_with_num_threads(1, WRITER_BYTES)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let sequence = match index.load_metas()?.payload {
            Some(payload) => payload.parse()?,
            None => 0,
        };
        let reader: IndexReader = reader;
        let seen = Seen { searcher: reader.searcher(), sequence };
        Ok(Index { fields, writer: Mutex::new(writer), reader, words, seen: RwLock::new(seen) })
    }

    fn seen(&self) -> Seen {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a document in the place of the one with its id.
    pub fn put(&self, document: &Document) -> tantivy::Result<()> {
        let Fields { id, revision, display_name, description, category } = self.fields;
        let mut stored = TantivyDocument::default();
        stored.add_text(id, &document.id);
        stored.add_i64(revision, document.revision);
        stored.add_text(display_name, &document.display_name);
        stored.add_text(description, &document.description);
        stored.add_text(category, &document.category);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.delete_term(Term::from_field_text(id, &document.id));
        writer.add_document(stored)?;
        Ok(())
    }

    /// Removes the document with this id.
    pub fn delete(&self, id: &str) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.delete_term(Term::from_field_text(self.fields.id, id));
    }

    /// Removes everything.
    pub fn clear(&self) -> tantivy::Result<()> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.delete_all_documents()?;
        Ok(())
    }

    /// Forgets what was put in and not committed.
    pub fn rollback(&self) -> tantivy::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.rollback()?;
        Ok(())
    }

    /// Makes all of it visible and safe; it stands for `sequence` from now on.
    pub fn commit(&self, sequence: i64) -> tantivy::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut prepared = writer.prepare_commit()?;
        prepared.set_payload(&sequence.to_string());
        prepared.commit()?;
        self.reader.reload()?;
        let seen = Seen { searcher: self.reader.searcher(), sequence };
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(())
    }

    /// The sequence of the last commit.
    pub fn sequence(&self) -> i64 {
        self.seen().sequence
    }

    /// Documents of the last commit.
    pub fn documents(&self) -> u64 {
        self.seen().searcher.num_docs()
    }

    /// The words of a text, in its order.
    fn words_of(&self, text: &str) -> Vec<String> {
        let mut words = self.words.clone();
        let mut stream = words.token_stream(text);
        let mut found = Vec::new();
        while let Some(token) = stream.next() {
            found.push(token.text.clone());
        }
        found
    }

    /// The documents that `query` means: best first, ties by id. A word in a name counts
    /// `name_weight` times what it counts in the description.
    pub fn search(
        &self,
        query: &str,
        mode: Mode,
        name_weight: f32,
        skip: usize,
        count: usize,
    ) -> tantivy::Result<Found> {
        let Seen { searcher, sequence } = self.seen();
        let words = self.words_of(query);
        if words.is_empty() {
            return Ok(Found { hits: Vec::new(), total: 0, sequence });
        }
        let query = self.query(&words, mode, name_weight);
        let total = searcher.search(&*query, &Count)?;
        let wanted = (skip + count).min(total);
        let mut limit = wanted;
        let mut top = Vec::new();
        while limit > 0 {
            top = searcher.search(&*query, &TopDocs::with_limit(limit).order_by_score())?;
            // Documents of equal score stand in the order of their ids, also across the edge of
            // the page: take all of that score before sorting.
            let edge = top.get(wanted - 1).map(|(score, _)| *score);
            let last = top.last().map(|(score, _)| *score);
            if limit >= total || edge != last {
                break;
            }
            limit = (limit * 4).min(total);
        }
        let mut hits = Vec::with_capacity(top.len());
        for (score, address) in top {
            let document: TantivyDocument = searcher.doc(address)?;
            hits.push(Hit {
                id: text_of(&document, self.fields.id),
                score,
                display_name: text_of(&document, self.fields.display_name),
            });
        }
        hits.sort_by(|one, other| {
            other.score.total_cmp(&one.score).then_with(|| one.id.cmp(&other.id))
        });
        let hits = hits.into_iter().skip(skip).take(count).collect();
        Ok(Found { hits, total, sequence })
    }

    fn query(&self, words: &[String], mode: Mode, name_weight: f32) -> Box<dyn Query> {
        let fields = [self.fields.display_name, self.fields.description];
        let weighed = |field: Field, query: Box<dyn Query>| -> Box<dyn Query> {
            // At its own weight a name costs nothing more to score.
            if field == self.fields.display_name && name_weight != 1.0 {
                return Box::new(BoostQuery::new(query, name_weight));
            }
            query
        };
        let term = |field: Field, word: &str| Term::from_field_text(field, word);
        if mode == Mode::Phrase && words.len() > 1 {
            let phrases = fields.iter().map(|field| {
                let terms = words.iter().map(|word| term(*field, word)).collect();
                weighed(*field, Box::new(PhraseQuery::new(terms)))
            });
            return Box::new(BooleanQuery::union(phrases.collect()));
        }
        let distinct: BTreeSet<&String> = words.iter().collect();
        let each = distinct.into_iter().map(|word| {
            let anywhere = fields.iter().map(|field| {
                let option = IndexRecordOption::WithFreqs;
                weighed(*field, Box::new(TermQuery::new(term(*field, word), option)))
            });
            Box::new(BooleanQuery::union(anywhere.collect())) as Box<dyn Query>
        });
        match mode {
            Mode::Any => Box::new(BooleanQuery::union(each.collect())),
            Mode::All | Mode::Phrase => Box::new(BooleanQuery::intersection(each.collect())),
        }
    }

    /// Names and revisions in the order of the names, and the sequence that they stand for.
    pub fn records(&self) -> tantivy::Result<(Vec<DigestRecord>, i64)> {
        let Seen { searcher, sequence } = self.seen();
        let mut records = Vec::new();
        for segment in searcher.segment_readers() {
            let store = segment.get_store_reader(16)?;
            for document in store.iter::<TantivyDocument>(segment.alive_bitset()) {
                let document = document?;
                let revision = document
                    .get_first(self.fields.revision)
                    .and_then(|value| value.as_i64())
                    .unwrap_or(0);
                records.push(DigestRecord { name: text_of(&document, self.fields.id), revision });
            }
        }
        records.sort_by(|one, other| one.name.cmp(&other.name));
        Ok((records, sequence))
    }
}

fn text_of(document: &TantivyDocument, field: Field) -> String {
    document.get_first(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(id: &str, name: &str, description: &str) -> Document {
        Document {
            id: id.into(),
            revision: 1,
            display_name: name.into(),
            description: description.into(),
            category: String::new(),
        }
    }

    fn ids(index: &Index, query: &str, mode: Mode) -> Vec<String> {
        let found = index.search(query, mode, 1.0, 0, 100).unwrap();
        assert_eq!(found.hits.len(), found.total);
        let mut ids: Vec<String> = found.hits.into_iter().map(|hit| hit.id).collect();
        ids.sort();
        ids
    }

    #[test]
    fn words_are_found_in_either_field_and_in_lower_case() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(folder.path()).unwrap();
        index.put(&document("products/a", "Blue Kettle", "boils water")).unwrap();
        index.put(&document("products/b", "Red kettle", "blue handle")).unwrap();
        index.put(&document("products/c", "Teapot", "for tea")).unwrap();
        assert_eq!(ids(&index, "kettle", Mode::All), [""; 0], "before the commit");
        index.commit(3).unwrap();
        assert_eq!(ids(&index, "KETTLE", Mode::All), ["products/a", "products/b"]);
        assert_eq!(ids(&index, "blue kettle", Mode::All), ["products/a", "products/b"]);
        assert_eq!(ids(&index, "blue kettle", Mode::Phrase), ["products/a"]);
        assert_eq!(ids(&index, "tea handle", Mode::Any), ["products/b", "products/c"]);
        assert_eq!(ids(&index, "--", Mode::Any), [""; 0]);
    }

    #[test]
    fn ties_stand_in_the_order_of_ids_across_pages() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(folder.path()).unwrap();
        for number in (0..30).rev() {
            index.put(&document(&format!("products/{number:02}"), "same", "")).unwrap();
        }
        index.commit(30).unwrap();
        let mut paged = Vec::new();
        for skip in (0..30).step_by(7) {
            let found = index.search("same", Mode::All, 1.0, skip, 7).unwrap();
            paged.extend(found.hits.into_iter().map(|hit| hit.id));
        }
        let expected: Vec<String> = (0..30).map(|n| format!("products/{n:02}")).collect();
        assert_eq!(paged, expected);
    }

    #[test]
    fn a_word_in_a_name_counts_what_the_team_says() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(folder.path()).unwrap();
        index.put(&document("products/name", "red kettle", "blue teapot")).unwrap();
        index.put(&document("products/text", "blue teapot", "red kettle")).unwrap();
        index.commit(2).unwrap();
        for mode in [Mode::All, Mode::Any, Mode::Phrase] {
            for (weight, first) in [(0.1, "products/text"), (10.0, "products/name")] {
                let found = index.search("red kettle", mode, weight, 0, 2).unwrap();
                assert_eq!((&*found.hits[0].id, found.total), (first, 2), "{weight} {mode:?}");
            }
        }
    }

    #[test]
    fn hybrid_hy_3_documents_and_sequence_survive_together() {
        let folder = tempfile::tempdir().unwrap();
        {
            let index = Index::open(folder.path()).unwrap();
            index.put(&document("products/a", "one", "")).unwrap();
            index.commit(7).unwrap();
            index.put(&document("products/b", "two", "")).unwrap();
            // Ends without a commit, as a crash does.
        }
        let index = Index::open(folder.path()).unwrap();
        assert_eq!(index.sequence(), 7);
        let (records, sequence) = index.records().unwrap();
        assert_eq!(sequence, 7);
        assert_eq!(records.len(), 1);
        index.delete("products/a");
        index.commit(8).unwrap();
        assert_eq!(index.records().unwrap().0.len(), 0);
    }
}
