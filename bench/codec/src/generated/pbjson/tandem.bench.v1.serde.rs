impl serde::Serialize for Address {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.street.is_empty() {
            len += 1;
        }
        if !self.city.is_empty() {
            len += 1;
        }
        if !self.country_code.is_empty() {
            len += 1;
        }
        if self.lat != 0. {
            len += 1;
        }
        if self.lon != 0. {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tandem.bench.v1.Address", len)?;
        if !self.street.is_empty() {
            struct_ser.serialize_field("street", &self.street)?;
        }
        if !self.city.is_empty() {
            struct_ser.serialize_field("city", &self.city)?;
        }
        if !self.country_code.is_empty() {
            struct_ser.serialize_field("countryCode", &self.country_code)?;
        }
        if self.lat != 0. {
            struct_ser.serialize_field("lat", &self.lat)?;
        }
        if self.lon != 0. {
            struct_ser.serialize_field("lon", &self.lon)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Address {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "street",
            "city",
            "country_code",
            "countryCode",
            "lat",
            "lon",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Street,
            City,
            CountryCode,
            Lat,
            Lon,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "street" => Ok(GeneratedField::Street),
                            "city" => Ok(GeneratedField::City),
                            "countryCode" | "country_code" => Ok(GeneratedField::CountryCode),
                            "lat" => Ok(GeneratedField::Lat),
                            "lon" => Ok(GeneratedField::Lon),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Address;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tandem.bench.v1.Address")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Address, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut street__ = None;
                let mut city__ = None;
                let mut country_code__ = None;
                let mut lat__ = None;
                let mut lon__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Street => {
                            if street__.is_some() {
                                return Err(serde::de::Error::duplicate_field("street"));
                            }
                            street__ = Some(map_.next_value()?);
                        }
                        GeneratedField::City => {
                            if city__.is_some() {
                                return Err(serde::de::Error::duplicate_field("city"));
                            }
                            city__ = Some(map_.next_value()?);
                        }
                        GeneratedField::CountryCode => {
                            if country_code__.is_some() {
                                return Err(serde::de::Error::duplicate_field("countryCode"));
                            }
                            country_code__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Lat => {
                            if lat__.is_some() {
                                return Err(serde::de::Error::duplicate_field("lat"));
                            }
                            lat__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Lon => {
                            if lon__.is_some() {
                                return Err(serde::de::Error::duplicate_field("lon"));
                            }
                            lon__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Address {
                    street: street__.unwrap_or_default(),
                    city: city__.unwrap_or_default(),
                    country_code: country_code__.unwrap_or_default(),
                    lat: lat__.unwrap_or_default(),
                    lon: lon__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tandem.bench.v1.Address", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Item {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.sku.is_empty() {
            len += 1;
        }
        if !self.name.is_empty() {
            len += 1;
        }
        if self.qty != 0 {
            len += 1;
        }
        if self.unit_price != 0 {
            len += 1;
        }
        if self.weight != 0. {
            len += 1;
        }
        if !self.tags.is_empty() {
            len += 1;
        }
        if self.gift {
            len += 1;
        }
        if self.side != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tandem.bench.v1.Item", len)?;
        if !self.sku.is_empty() {
            struct_ser.serialize_field("sku", &self.sku)?;
        }
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if self.qty != 0 {
            struct_ser.serialize_field("qty", &self.qty)?;
        }
        if self.unit_price != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("unitPrice", ToString::to_string(&self.unit_price).as_str())?;
        }
        if self.weight != 0. {
            struct_ser.serialize_field("weight", &self.weight)?;
        }
        if !self.tags.is_empty() {
            struct_ser.serialize_field("tags", &self.tags)?;
        }
        if self.gift {
            struct_ser.serialize_field("gift", &self.gift)?;
        }
        if self.side != 0 {
            let v = Side::try_from(self.side)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.side)))?;
            struct_ser.serialize_field("side", &v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Item {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "sku",
            "name",
            "qty",
            "unit_price",
            "unitPrice",
            "weight",
            "tags",
            "gift",
            "side",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Sku,
            Name,
            Qty,
            UnitPrice,
            Weight,
            Tags,
            Gift,
            Side,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "sku" => Ok(GeneratedField::Sku),
                            "name" => Ok(GeneratedField::Name),
                            "qty" => Ok(GeneratedField::Qty),
                            "unitPrice" | "unit_price" => Ok(GeneratedField::UnitPrice),
                            "weight" => Ok(GeneratedField::Weight),
                            "tags" => Ok(GeneratedField::Tags),
                            "gift" => Ok(GeneratedField::Gift),
                            "side" => Ok(GeneratedField::Side),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Item;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tandem.bench.v1.Item")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Item, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut sku__ = None;
                let mut name__ = None;
                let mut qty__ = None;
                let mut unit_price__ = None;
                let mut weight__ = None;
                let mut tags__ = None;
                let mut gift__ = None;
                let mut side__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Sku => {
                            if sku__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sku"));
                            }
                            sku__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Qty => {
                            if qty__.is_some() {
                                return Err(serde::de::Error::duplicate_field("qty"));
                            }
                            qty__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::UnitPrice => {
                            if unit_price__.is_some() {
                                return Err(serde::de::Error::duplicate_field("unitPrice"));
                            }
                            unit_price__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Weight => {
                            if weight__.is_some() {
                                return Err(serde::de::Error::duplicate_field("weight"));
                            }
                            weight__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Tags => {
                            if tags__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tags"));
                            }
                            tags__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Gift => {
                            if gift__.is_some() {
                                return Err(serde::de::Error::duplicate_field("gift"));
                            }
                            gift__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Side => {
                            if side__.is_some() {
                                return Err(serde::de::Error::duplicate_field("side"));
                            }
                            side__ = Some(map_.next_value::<Side>()? as i32);
                        }
                    }
                }
                Ok(Item {
                    sku: sku__.unwrap_or_default(),
                    name: name__.unwrap_or_default(),
                    qty: qty__.unwrap_or_default(),
                    unit_price: unit_price__.unwrap_or_default(),
                    weight: weight__.unwrap_or_default(),
                    tags: tags__.unwrap_or_default(),
                    gift: gift__.unwrap_or_default(),
                    side: side__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tandem.bench.v1.Item", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Order {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.id.is_empty() {
            len += 1;
        }
        if self.account_id != 0 {
            len += 1;
        }
        if self.side != 0 {
            len += 1;
        }
        if self.created_at.is_some() {
            len += 1;
        }
        if !self.items.is_empty() {
            len += 1;
        }
        if !self.labels.is_empty() {
            len += 1;
        }
        if self.ship_to.is_some() {
            len += 1;
        }
        if self.total != 0. {
            len += 1;
        }
        if !self.signature.is_empty() {
            len += 1;
        }
        if !self.codes.is_empty() {
            len += 1;
        }
        if !self.note.is_empty() {
            len += 1;
        }
        if self.version != 0 {
            len += 1;
        }
        if self.urgent {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tandem.bench.v1.Order", len)?;
        if !self.id.is_empty() {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if self.account_id != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("accountId", ToString::to_string(&self.account_id).as_str())?;
        }
        if self.side != 0 {
            let v = Side::try_from(self.side)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.side)))?;
            struct_ser.serialize_field("side", &v)?;
        }
        if let Some(v) = self.created_at.as_ref() {
            struct_ser.serialize_field("createdAt", v)?;
        }
        if !self.items.is_empty() {
            struct_ser.serialize_field("items", &self.items)?;
        }
        if !self.labels.is_empty() {
            struct_ser.serialize_field("labels", &self.labels)?;
        }
        if let Some(v) = self.ship_to.as_ref() {
            struct_ser.serialize_field("shipTo", v)?;
        }
        if self.total != 0. {
            struct_ser.serialize_field("total", &self.total)?;
        }
        if !self.signature.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("signature", pbjson::private::base64::encode(&self.signature).as_str())?;
        }
        if !self.codes.is_empty() {
            struct_ser.serialize_field("codes", &self.codes)?;
        }
        if !self.note.is_empty() {
            struct_ser.serialize_field("note", &self.note)?;
        }
        if self.version != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("version", ToString::to_string(&self.version).as_str())?;
        }
        if self.urgent {
            struct_ser.serialize_field("urgent", &self.urgent)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Order {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "account_id",
            "accountId",
            "side",
            "created_at",
            "createdAt",
            "items",
            "labels",
            "ship_to",
            "shipTo",
            "total",
            "signature",
            "codes",
            "note",
            "version",
            "urgent",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            AccountId,
            Side,
            CreatedAt,
            Items,
            Labels,
            ShipTo,
            Total,
            Signature,
            Codes,
            Note,
            Version,
            Urgent,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "accountId" | "account_id" => Ok(GeneratedField::AccountId),
                            "side" => Ok(GeneratedField::Side),
                            "createdAt" | "created_at" => Ok(GeneratedField::CreatedAt),
                            "items" => Ok(GeneratedField::Items),
                            "labels" => Ok(GeneratedField::Labels),
                            "shipTo" | "ship_to" => Ok(GeneratedField::ShipTo),
                            "total" => Ok(GeneratedField::Total),
                            "signature" => Ok(GeneratedField::Signature),
                            "codes" => Ok(GeneratedField::Codes),
                            "note" => Ok(GeneratedField::Note),
                            "version" => Ok(GeneratedField::Version),
                            "urgent" => Ok(GeneratedField::Urgent),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Order;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tandem.bench.v1.Order")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Order, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut account_id__ = None;
                let mut side__ = None;
                let mut created_at__ = None;
                let mut items__ = None;
                let mut labels__ = None;
                let mut ship_to__ = None;
                let mut total__ = None;
                let mut signature__ = None;
                let mut codes__ = None;
                let mut note__ = None;
                let mut version__ = None;
                let mut urgent__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = Some(map_.next_value()?);
                        }
                        GeneratedField::AccountId => {
                            if account_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("accountId"));
                            }
                            account_id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Side => {
                            if side__.is_some() {
                                return Err(serde::de::Error::duplicate_field("side"));
                            }
                            side__ = Some(map_.next_value::<Side>()? as i32);
                        }
                        GeneratedField::CreatedAt => {
                            if created_at__.is_some() {
                                return Err(serde::de::Error::duplicate_field("createdAt"));
                            }
                            created_at__ = map_.next_value()?;
                        }
                        GeneratedField::Items => {
                            if items__.is_some() {
                                return Err(serde::de::Error::duplicate_field("items"));
                            }
                            items__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Labels => {
                            if labels__.is_some() {
                                return Err(serde::de::Error::duplicate_field("labels"));
                            }
                            labels__ = Some(
                                map_.next_value::<std::collections::HashMap<_, _>>()?
                            );
                        }
                        GeneratedField::ShipTo => {
                            if ship_to__.is_some() {
                                return Err(serde::de::Error::duplicate_field("shipTo"));
                            }
                            ship_to__ = map_.next_value()?;
                        }
                        GeneratedField::Total => {
                            if total__.is_some() {
                                return Err(serde::de::Error::duplicate_field("total"));
                            }
                            total__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Signature => {
                            if signature__.is_some() {
                                return Err(serde::de::Error::duplicate_field("signature"));
                            }
                            signature__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Codes => {
                            if codes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("codes"));
                            }
                            codes__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::NumberDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::Note => {
                            if note__.is_some() {
                                return Err(serde::de::Error::duplicate_field("note"));
                            }
                            note__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Version => {
                            if version__.is_some() {
                                return Err(serde::de::Error::duplicate_field("version"));
                            }
                            version__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Urgent => {
                            if urgent__.is_some() {
                                return Err(serde::de::Error::duplicate_field("urgent"));
                            }
                            urgent__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Order {
                    id: id__.unwrap_or_default(),
                    account_id: account_id__.unwrap_or_default(),
                    side: side__.unwrap_or_default(),
                    created_at: created_at__,
                    items: items__.unwrap_or_default(),
                    labels: labels__.unwrap_or_default(),
                    ship_to: ship_to__,
                    total: total__.unwrap_or_default(),
                    signature: signature__.unwrap_or_default(),
                    codes: codes__.unwrap_or_default(),
                    note: note__.unwrap_or_default(),
                    version: version__.unwrap_or_default(),
                    urgent: urgent__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tandem.bench.v1.Order", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Side {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "SIDE_UNSPECIFIED",
            Self::Buy => "SIDE_BUY",
            Self::Sell => "SIDE_SELL",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for Side {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "SIDE_UNSPECIFIED",
            "SIDE_BUY",
            "SIDE_SELL",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = Side;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "SIDE_UNSPECIFIED" => Ok(Side::Unspecified),
                    "SIDE_BUY" => Ok(Side::Buy),
                    "SIDE_SELL" => Ok(Side::Sell),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
