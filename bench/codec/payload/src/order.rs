//! Orders as a shop might take them, as JSON text and as protobuf bytes.
//!
//! The words hold letters of one, two and three bytes; the address always holds a quote and a
//! line break. [`Words::Escaped`] puts something to escape into every free text.

use crate::text::{Form, Json, base64, write};
use crate::wire::{put_bytes, put_double, put_number, put_varint};

/// How large an order is; the wire and JSON bytes are those that the bars are stated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// 156 B and 354 B, near enough.
    Small,
    /// 2.8 KB and 5.4 KB.
    Medium,
    /// 587 KB and 1.15 MB.
    Large,
}

/// What free text is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    Plain,
    /// A line break, a quote or a control character in each text.
    Escaped,
}

pub struct Order {
    id: String,
    account_id: u64,
    side: u64,
    items: Vec<Item>,
    labels: Vec<(String, String)>,
    ship_to: Option<Address>,
    total: f64,
    signature: Vec<u8>,
    codes: Vec<u64>,
    note: String,
    version: u64,
}

struct Item {
    sku: String,
    name: String,
    qty: u64,
    unit_price: u64,
    weight: f64,
    tags: Vec<String>,
    gift: bool,
    side: u64,
}

struct Address {
    street: String,
    city: String,
    country_code: String,
    lat: f64,
    lon: f64,
}

const WORDS: [&str; 15] = [
    "alpha", "beta", "gamma", "delta", "blue", "widget", "steel", "großes", "café", "small",
    "pack", "premium", "日本", "lot", "series",
];
/// With this one the small order, which holds a single item, is of the size that is stated.
const SEED: u64 = 16;
const SIDES: [&str; 3] = ["SIDE_UNSPECIFIED", "SIDE_BUY", "SIDE_SELL"];
/// 2026-09-21T14:13:20.123456Z.
const CREATED: (u64, u64, &str) = (1_790_000_000, 123_456_000, "2026-09-21T14:13:20.123456Z");

impl Order {
    /// The order of one size; always the same.
    pub fn new(size: Size, words: Words) -> Order {
        let (items, labels, codes, full) = match size {
            Size::Small => (1, 2, 0, false),
            Size::Medium => (32, 8, 40, true),
            Size::Large => (8200, 32, 4000, true),
        };
        let random = &mut Random::new(SEED);
        let id = format!("ord-{:012}", random.below(1_000_000_000_000));
        let account_id = random.below(1 << 50);
        let items = (0..items).map(|_| Item::new(random, words)).collect();
        let labels =
            (0..labels).map(|index| (format!("label-{index}"), word(random, words))).collect();
        let ship_to = full.then(|| Address {
            street: "12 rue de la \"Paix\"\n2e étage".into(),
            city: "Paris".into(),
            country_code: "FR".into(),
            lat: 48.869,
            lon: 2.3312,
        });
        let signature = (0..if full { 64 } else { 0 }).map(|_| random.below(256) as u8).collect();
        let sentence = match words {
            Words::Plain => "Deliver between 9 and 12. ",
            Words::Escaped => "Deliver\tbetween 9\nand 12. ",
        };
        Order {
            id,
            account_id,
            side: 1,
            items,
            labels,
            ship_to,
            total: random.below(100_000) as f64 / 100.0,
            signature,
            codes: (0..codes).map(|_| random.below(100_000)).collect(),
            note: if full { sentence.repeat(4) } else { String::new() },
            version: random.below(1 << 60),
        }
    }

    pub fn json(&self, form: Form) -> Vec<u8> {
        let Order {
            id,
            account_id,
            side,
            items,
            labels,
            ship_to,
            total,
            signature,
            codes,
            note,
            version,
        } = self;
        let mut fields = Fields::default();
        fields.text("id", id);
        fields.long("accountId", *account_id);
        fields.side(*side);
        fields.text("createdAt", CREATED.2);
        fields.list("items", items.iter().map(Item::json));
        let labels = labels.iter().map(|(key, value)| (key.clone(), Json::String(value.clone())));
        fields.0.push(("labels".into(), Json::Object(labels.collect())));
        if let Some(Address { street, city, country_code, lat, lon }) = ship_to {
            let mut inner = Fields::default();
            inner.text("street", street);
            inner.text("city", city);
            inner.text("countryCode", country_code);
            inner.double("lat", *lat);
            inner.double("lon", *lon);
            fields.0.push(("shipTo".into(), Json::Object(inner.0)));
        }
        fields.double("total", *total);
        fields.text("signature", &base64(signature));
        fields.list("codes", codes.iter().map(|code| Json::Plain(code.to_string())));
        fields.text("note", note);
        fields.long("version", *version);
        fields.0.push(("urgent".into(), Json::Plain("true".into())));
        write(&Json::Object(fields.0), form)
    }

    pub fn wire(&self) -> Vec<u8> {
        let out = &mut Vec::new();
        put_text(1, &self.id, out);
        put_number(2, self.account_id, out);
        put_number(3, self.side, out);
        let mut created = Vec::new();
        put_number(1, CREATED.0, &mut created);
        put_number(2, CREATED.1, &mut created);
        put_bytes(4, &created, out);
        for item in &self.items {
            put_bytes(5, &item.wire(), out);
        }
        for (key, value) in &self.labels {
            let mut entry = Vec::new();
            put_text(1, key, &mut entry);
            put_text(2, value, &mut entry);
            put_bytes(6, &entry, out);
        }
        if let Some(Address { street, city, country_code, lat, lon }) = &self.ship_to {
            let mut inner = Vec::new();
            put_text(1, street, &mut inner);
            put_text(2, city, &mut inner);
            put_text(3, country_code, &mut inner);
            put_double(4, *lat, &mut inner);
            put_double(5, *lon, &mut inner);
            put_bytes(7, &inner, out);
        }
        put_double(8, self.total, out);
        if !self.signature.is_empty() {
            put_bytes(9, &self.signature, out);
        }
        if !self.codes.is_empty() {
            let mut packed = Vec::new();
            for code in &self.codes {
                put_varint(*code, &mut packed);
            }
            put_bytes(10, &packed, out);
        }
        put_text(11, &self.note, out);
        put_number(12, self.version, out);
        put_number(13, 1, out);
        std::mem::take(out)
    }
}

impl Item {
    fn new(random: &mut Random, words: Words) -> Item {
        Item {
            sku: format!("SKU-{:06}", random.below(1_000_000)),
            name: [(); 4].map(|()| word(random, words)).join(" "),
            qty: 1 + random.below(49),
            unit_price: 1000 + random.below(1_000_000_000_000),
            // Never zero: that is a default, which has no bytes on the wire.
            weight: (1 + random.below(29_999)) as f64 / 1000.0,
            tags: (0..random.below(4)).map(|_| word(random, words)).collect(),
            gift: random.below(10) < 3,
            side: random.below(3),
        }
    }

    fn json(&self) -> Json {
        let Item { sku, name, qty, unit_price, weight, tags, gift, side } = self;
        let mut fields = Fields::default();
        fields.text("sku", sku);
        fields.text("name", name);
        fields.0.push(("qty".into(), Json::Plain(qty.to_string())));
        fields.long("unitPrice", *unit_price);
        fields.double("weight", *weight);
        fields.list("tags", tags.iter().map(|tag| Json::String(tag.clone())));
        if *gift {
            fields.0.push(("gift".into(), Json::Plain("true".into())));
        }
        fields.side(*side);
        Json::Object(fields.0)
    }

    fn wire(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_text(1, &self.sku, &mut out);
        put_text(2, &self.name, &mut out);
        put_number(3, self.qty, &mut out);
        put_number(4, self.unit_price, &mut out);
        put_double(5, self.weight, &mut out);
        for tag in &self.tags {
            put_bytes(6, tag.as_bytes(), &mut out);
        }
        if self.gift {
            put_number(7, 1, &mut out);
        }
        if self.side != 0 {
            put_number(8, self.side, &mut out);
        }
        out
    }
}

fn put_text(number: u32, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        put_bytes(number, text.as_bytes(), out);
    }
}

/// The fields of one object; what holds its default is left out, as on the wire.
#[derive(Default)]
struct Fields(Vec<(String, Json)>);

impl Fields {
    fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.0.push((name.into(), Json::String(value.into())));
        }
    }

    /// ProtoJSON writes 64-bit integers as strings.
    fn long(&mut self, name: &str, value: u64) {
        self.text(name, &value.to_string());
    }

    fn double(&mut self, name: &str, value: f64) {
        self.0.push((name.into(), Json::Plain(format!("{value:?}"))));
    }

    fn side(&mut self, value: u64) {
        if value != 0 {
            self.text("side", SIDES[value as usize]);
        }
    }

    fn list(&mut self, name: &str, values: impl Iterator<Item = Json>) {
        let values: Vec<Json> = values.collect();
        if !values.is_empty() {
            self.0.push((name.into(), Json::List(values)));
        }
    }
}

fn word(random: &mut Random, words: Words) -> String {
    let word = WORDS[random.below(WORDS.len() as u64) as usize];
    match words {
        Words::Plain => word.into(),
        Words::Escaped => {
            let mark = ["\n", "\"", "\u{1}", "\\"][random.below(4) as usize];
            let middle = word.char_indices().nth(2).map_or(word.len(), |(at, _)| at);
            format!("{}{mark}{}", &word[..middle], &word[middle..])
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough for payloads, and a few lines.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`; for bounds far below 2⁶⁴ the bias does not matter here.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bars are stated for these sizes (within 5 %).
    #[test]
    fn the_sizes_are_those_of_the_bars() {
        for (size, wire, json) in [
            (Size::Small, 156, 354),
            (Size::Medium, 2_800, 5_400),
            (Size::Large, 587_000, 1_150_000),
        ] {
            let order = Order::new(size, Words::Plain);
            for (measured, stated) in
                [(order.wire().len(), wire), (order.json(Form::Compact).len(), json)]
            {
                let off = measured as f64 / f64::from(stated) - 1.0;
                assert!(off.abs() < 0.05, "{size:?}: {measured} bytes, stated {stated}");
            }
        }
    }
}
