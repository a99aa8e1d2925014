//! Field masks of products: what is read, what is written.

use case_service::errors::Violation;

use crate::contract::{Product, UpdateProductRequest, product};
use crate::protos::google::r#type::Money;

/// Paths that an update takes over.
const WRITTEN: [&str; 8] = [
    "display_name",
    "description",
    "category",
    "price",
    "stock",
    "labels",
    "state",
    "discount_percent",
];
/// Paths that an update may name without effect.
const KEPT: [&str; 5] = ["name", "price_text", "create_time", "update_time", "etag"];
const PRICE_PARTS: [&str; 3] = ["price.currency_code", "price.units", "price.nanos"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mask {
    Whole,
    Paths(Vec<String>),
}

impl Mask {
    /// No mask, an empty one, and `*` alone are everything.
    pub fn new(mask: Option<prost_types::FieldMask>) -> Mask {
        match mask {
            Some(mask) if !mask.paths.is_empty() && mask.paths != ["*"] => Mask::Paths(mask.paths),
            _ => Mask::Whole,
        }
    }

    /// What an update changes; without a mask, what the caller filled in (AIP-134).
    pub fn of_update(request: &UpdateProductRequest) -> Mask {
        if request.update_mask.as_ref().is_some_and(|mask| !mask.paths.is_empty()) {
            return Mask::new(request.update_mask.clone());
        }
        let Some(given) = &request.product else { return Mask::Paths(Vec::new()) };
        let filled = [
            !given.display_name.is_empty(),
            !given.description.is_empty(),
            !given.category.is_empty(),
            given.price.is_some(),
            given.stock != 0,
            !given.labels.is_empty(),
            given.state != 0,
            given.discount_percent != 0,
        ];
        let paths = WRITTEN.iter().zip(filled).filter(|(_, filled)| *filled);
        Mask::Paths(paths.map(|(path, _)| (*path).to_owned()).collect())
    }

    pub fn has(&self, path: &str) -> bool {
        match self {
            Mask::Whole => true,
            Mask::Paths(paths) => paths.iter().any(|named| named == path),
        }
    }

    /// Names the first path that is none of a product's.
    pub fn check(&self, field: &'static str, reason: &'static str) -> Option<Violation> {
        let Mask::Paths(paths) = self else { return None };
        let known = |path: &str| {
            WRITTEN.contains(&path) || KEPT.contains(&path) || PRICE_PARTS.contains(&path)
        };
        let unknown = paths.iter().find(|path| !known(path))?;
        Some(Violation { field, reason, description: format!("has no path `{unknown}`") })
    }

    /// Takes the masked fields of `given` over into `product`.
    pub fn merge(&self, product: &mut Product, given: &Product) {
        if self.has("display_name") {
            product.display_name.clone_from(&given.display_name);
        }
        if self.has("description") {
            product.description.clone_from(&given.description);
        }
        if self.has("category") {
            product.category.clone_from(&given.category);
        }
        if self.has("price") {
            product.price.clone_from(&given.price);
        } else if PRICE_PARTS.iter().any(|part| self.has(part)) {
            let given = given.price.clone().unwrap_or_default();
            self.merge_price(product.price.get_or_insert_default(), given);
        }
        if self.has("stock") {
            product.stock = given.stock;
        }
        if self.has("labels") {
            product.labels.clone_from(&given.labels);
        }
        if self.has("state") {
            product.state = given.state;
            if product.state == product::State::Unspecified as i32 {
                product.state = product::State::Active as i32;
            }
        }
        if self.has("discount_percent") {
            product.discount_percent = given.discount_percent;
        }
    }

    fn merge_price(&self, price: &mut Money, given: Money) {
        if self.has("price.currency_code") {
            price.currency_code = given.currency_code;
        }
        if self.has("price.units") {
            price.units = given.units;
        }
        if self.has("price.nanos") {
            price.nanos = given.nanos;
        }
    }

    /// Leaves of `product` what the mask has.
    pub fn cut(&self, product: Product) -> Product {
        if *self == Mask::Whole {
            return product;
        }
        let mut left = Product::default();
        self.merge(&mut left, &product);
        if self.has("name") {
            left.name = product.name;
        }
        if self.has("price_text") {
            left.price_text = product.price_text;
        }
        if self.has("create_time") {
            left.create_time = product.create_time;
        }
        if self.has("update_time") {
            left.update_time = product.update_time;
        }
        if self.has("etag") {
            left.etag = product.etag;
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(paths: &[&str]) -> Mask {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        Mask::new(Some(prost_types::FieldMask { paths }))
    }

    #[test]
    fn cat_4_an_unknown_path_is_named_and_a_star_alone_is_everything() {
        assert_eq!(mask(&[]), Mask::Whole);
        assert_eq!(mask(&["*"]), Mask::Whole);
        assert_eq!(mask(&["stock", "etag", "price.units"]).check("m", "M"), None);
        for wrong in [&["nope"][..], &["stock", "*"], &["labels.a"], &["price.text"]] {
            assert!(mask(wrong).check("m", "M").is_some(), "{wrong:?}");
        }
    }

    #[test]
    fn a_mask_cuts_a_product_to_its_paths() {
        let product = Product {
            name: "products/a".into(),
            stock: 3,
            price: Some(Money { currency_code: "EUR".into(), units: 1, nanos: 5 }),
            ..Default::default()
        };
        let cut = mask(&["price.units", "name"]).cut(product.clone());
        let price = Some(Money { units: 1, ..Default::default() });
        assert_eq!(cut, Product { name: "products/a".into(), price, ..Default::default() });
        assert_eq!(Mask::Whole.cut(product.clone()), product);
    }
}
