//! What the shop's team says at this moment, by its settings.
//!
//! Without a gateway that is the defaults of the contract for good.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use case_service::settings::Reader;
use tandem_settings::is_on;
use tonic::metadata::MetadataMap;

use crate::contract::{CatalogueSettings, Product};
use crate::validate;

const DISCOUNT_MOST_DEFAULT: i32 = 20;
const HIDDEN_MOST: usize = 50;
const NEW_PRICE_FORMAT: &str = "tandem.cases.catalogue.v1.CatalogueSettings.new_price_format";

#[derive(Clone)]
pub struct Team(Reader<CatalogueSettings>);

impl Team {
    pub fn new(settings: Reader<CatalogueSettings>) -> Team {
        Team(settings)
    }

    /// The largest discount that a product may be given, in percent.
    pub fn discount_most(&self) -> i32 {
        self.0.current().max_discount_percent.unwrap_or(DISCOUNT_MOST_DEFAULT)
    }

    /// The categories that lists leave out.
    pub fn hidden(&self) -> Vec<String> {
        self.0.current().hidden_categories.clone()
    }

    /// How products look to a caller.
    pub fn look(&self, caller: &MetadataMap) -> Look {
        let settings = self.0.current();
        let per_mille = settings.new_price_format.map_or(0, |rollout| rollout.per_mille);
        let principal = principal(caller).filter(|principal| !principal.is_empty());
        let on = |principal: String| is_on(per_mille, NEW_PRICE_FORMAT, &principal);
        Look { new_price: principal.is_some_and(on) }
    }
}

/// Who calls, as the gateway says.
fn principal(caller: &MetadataMap) -> Option<String> {
    let said = caller.get("x-tandem-principal")?.to_str().ok()?;
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(said.trim_end_matches('=')).ok()?;
    String::from_utf8(decoded).ok()
}

/// How products look to one caller.
#[derive(Clone, Copy)]
pub struct Look {
    new_price: bool,
}

impl Look {
    pub fn of(self, product: Product) -> Product {
        match &product.price {
            Some(price) if self.new_price => {
                Product { price_text: validate::new_price_text(price), ..product }
            }
            _ => product,
        }
    }
}

/// Refuses what the service cannot run by, whatever let it through.
pub fn bearable(next: &CatalogueSettings) -> Result<(), String> {
    if next.max_discount_percent.is_some_and(|percent| !(0..=60).contains(&percent)) {
        return Err("max_discount_percent must be 0 to 60".into());
    }
    if next.hidden_categories.len() > HIDDEN_MOST {
        return Err("hidden_categories must be at most 50".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protos::google::r#type::Money;

    #[test]
    fn the_new_price_is_for_principals_of_its_share() {
        // Alice's number is 139 (clients/vectors.json).
        for (per_mille, said, price) in [
            (139, Some("YWxpY2U"), "12.50 EUR"),
            (140, Some("YWxpY2U"), "EUR 12.50"),
            (140, Some("YWxpY2U="), "EUR 12.50"),
            (1000, None, "12.50 EUR"),
            (1000, Some(""), "12.50 EUR"),
            (1000, Some("?"), "12.50 EUR"),
        ] {
            let new_price_format = Some(crate::protos::tandem::settings::v1::Rollout { per_mille });
            let settings = CatalogueSettings { new_price_format, ..Default::default() };
            let mut caller = MetadataMap::new();
            if let Some(said) = said {
                caller.insert("x-tandem-principal", said.parse().unwrap());
            }
            let money = Money { currency_code: "EUR".into(), units: 12, nanos: 500_000_000 };
            let price_text = validate::price_text(&money);
            let product = Product { price: Some(money), price_text, ..Default::default() };
            let look = Team::new(Reader::of(settings)).look(&caller);
            assert_eq!(look.of(product).price_text, price, "{per_mille} {said:?}");
        }
    }

    #[test]
    fn values_that_cannot_be_borne_are_refused() {
        for (percent, hidden, refused) in [
            (None, 0, None),
            (Some(0), 50, None),
            (Some(60), 0, None),
            (Some(-1), 0, Some("max_discount_percent must be 0 to 60")),
            (Some(61), 0, Some("max_discount_percent must be 0 to 60")),
            (None, 51, Some("hidden_categories must be at most 50")),
        ] {
            let settings = CatalogueSettings {
                max_discount_percent: percent,
                hidden_categories: vec![String::new(); hidden],
                new_price_format: None,
            };
            assert_eq!(bearable(&settings).err().as_deref(), refused, "{percent:?} {hidden}");
        }
    }
}
