//! Orders of lists, and the tokens by which a list goes on.
//!
//! A page begins behind a key, never behind a number of rows, so what is created or removed
//! meanwhile neither repeats nor hides a row that stands.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use prost::Message as _;
use rusqlite::types::Value;

use crate::contract::{ListProductsRequest, Product};
use crate::filter::Filter;
use crate::record::PageToken;

pub const SIZE_DEFAULT: usize = 25;
pub const SIZE_MOST: i32 = 1000;

/// By a field, then by name, both in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    by: By,
    descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Name,
    DisplayName,
    Category,
    Stock,
    Units,
}

impl Order {
    pub const BY_NAME: Order = Order { by: By::Name, descending: false };

    /// `stock`, `stock desc`; `None` for what is not on the list.
    pub fn parse(text: &str) -> Option<Order> {
        if text.is_empty() {
            return Some(Order::BY_NAME);
        }
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let by = match words.next()? {
            "name" => By::Name,
            "display_name" => By::DisplayName,
            "category" => By::Category,
            "stock" => By::Stock,
            "price.units" => By::Units,
            _ => return None,
        };
        let descending = match words.next() {
            None => false,
            Some("desc") => true,
            Some(_) => return None,
        };
        words.next().is_none().then_some(Order { by, descending })
    }
}

impl By {
    /// `None` for the name alone.
    fn column(self) -> Option<&'static str> {
        match self {
            By::Name => None,
            By::DisplayName => Some("p.display_name"),
            By::Category => Some("p.category"),
            By::Stock => Some("p.stock"),
            By::Units => Some("p.units"),
        }
    }
}

/// A part of the products: which, in which order, from where on.
#[derive(Debug)]
pub struct Selection {
    pub filter: Filter,
    /// Categories that are left out.
    pub hidden: Vec<String>,
    pub order: Order,
    /// `None` for the beginning.
    pub after: Option<PageToken>,
    pub count: usize,
}

impl Selection {
    /// The bodies of the selected products, as SQL with its values.
    pub fn query(self) -> (String, Vec<Value>) {
        let Selection { filter, hidden, order, after, count } = self;
        let Filter { sql: condition, mut values } = filter;
        let mut conditions = Vec::new();
        if !condition.is_empty() {
            conditions.push(condition);
        }
        if !hidden.is_empty() {
            let marks = vec!["?"; hidden.len()].join(", ");
            conditions.push(format!("p.category NOT IN ({marks})"));
            values.extend(hidden.into_iter().map(Value::from));
        }
        let (direction, behind) = if order.descending { (" DESC", "<") } else { ("", ">") };
        let column = order.by.column();
        if let Some(PageToken { name, text, number, arguments: _ }) = after {
            match column {
                None => conditions.push(format!("p.name {behind} ?")),
                Some(column) => {
                    conditions.push(format!("({column}, p.name) {behind} (?, ?)"));
                    values.push(match order.by {
                        By::Stock | By::Units => number.into(),
                        By::Name | By::DisplayName | By::Category => text.into(),
                    });
                }
            }
            values.push(name.into());
        }
        let mut sql = "SELECT p.body FROM products p".to_owned();
        if !conditions.is_empty() {
            sql.push_str(" WHERE ");
            sql.push_str(&conditions.join(" AND "));
        }
        sql.push_str(" ORDER BY ");
        if let Some(column) = column {
            sql.push_str(&format!("{column}{direction}, "));
        }
        sql.push_str(&format!("p.name{direction} LIMIT ?"));
        values.push(Value::from(i64::try_from(count).unwrap_or(i64::MAX)));
        (sql, values)
    }
}

/// What a page token is bound to: everything but the size, which may change from page to page,
/// and the token itself.
pub fn arguments(request: &ListProductsRequest) -> u32 {
    let bound = ListProductsRequest {
        page_size: 0,
        page_token: String::new(),
        filter: request.filter.clone(),
        order_by: request.order_by.clone(),
        read_mask: request.read_mask.clone(),
    };
    crc32c::crc32c(&bound.encode_to_vec())
}

/// Points behind `last`.
pub fn token_behind(last: &Product, order: Order, arguments: u32) -> String {
    let (mut text, mut number) = (String::new(), 0);
    match order.by {
        By::Name => {}
        By::DisplayName => text.clone_from(&last.display_name),
        By::Category => text.clone_from(&last.category),
        By::Stock => number = last.stock,
        By::Units => number = last.price.as_ref().map_or(0, |price| price.units),
    }
    let token = PageToken { name: last.name.clone(), text, number, arguments };
    BASE64_URL_SAFE_NO_PAD.encode(token.encode_to_vec())
}

/// `None` for a token that is none of ours, or belongs to other arguments.
pub fn read_token(text: &str, arguments: u32) -> Option<PageToken> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let token = PageToken::decode(&bytes[..]).ok()?;
    (!token.name.is_empty() && token.arguments == arguments).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn de_4_a_page_token_is_bound_to_filter_order_and_mask_not_to_the_size() {
        let request = ListProductsRequest { filter: "stock = 1".into(), ..Default::default() };
        let product = Product { name: "products/p-1".into(), ..Default::default() };
        let token = token_behind(&product, Order::BY_NAME, arguments(&request));
        let with = |request: &ListProductsRequest| read_token(&token, arguments(request));
        assert_eq!(with(&request).unwrap().name, "products/p-1");
        let larger = ListProductsRequest { page_size: 7, ..request.clone() };
        assert!(with(&larger).is_some());
        let other = ListProductsRequest { order_by: "stock".into(), ..request };
        assert_eq!(with(&other), None);
        for none in ["AAAA", "", "%"] {
            assert_eq!(read_token(none, 0), None);
        }
    }

    #[test]
    fn cat_3_the_list_of_orders_is_fixed() {
        for (text, fine) in [
            ("", true),
            ("name", true),
            ("stock desc", true),
            ("price.units  desc ", true),
            ("stock asc", false),
            ("stock desc desc", false),
            ("description", false),
            (" ", false),
        ] {
            assert_eq!(Order::parse(text).is_some(), fine, "{text}");
        }
    }
}
