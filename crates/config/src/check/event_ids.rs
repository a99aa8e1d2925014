//! `rest.sse_id_field` against the contract: the field must be there in every stream that it is
//! to number (protocols S-7).
//!
//! Not here: reading the key (`crate::read`), reading the field (`tandem-transcode`).

use tandem_contract::{Contract, Method};
use tandem_transcode::FieldText;

use super::Claims;
use crate::document::MethodRules;
use crate::problem::{Problem, Tnd};
use crate::source::{Step, cut};

impl Claims<'_> {
    /// Each line that names a field, held against the methods for which it is the one that holds.
    pub(super) fn event_ids(&mut self, contract: &Contract) {
        let namespace = self.namespace;
        let defaults = (vec![Step::Key("defaults")], None, &namespace.defaults);
        let lines = namespace.methods.iter().map(|(key, rules)| {
            (vec![Step::Key("methods"), Step::Key(key)], Some(key.as_str()), rules)
        });
        for (mut trail, key, rules) in std::iter::once(defaults).chain(lines) {
            let field = rules.rest.as_ref().and_then(|rest| rest.sse_id_field.as_deref());
            let Some(field) = field else { continue };
            trail.extend([Step::Key("rest"), Step::Key("sse_id_field")]);
            let methods: Vec<&Method> = contract
                .methods()
                .map(|(_, method)| method)
                .filter(|method| {
                    self.line_of_rest(method).is_some_and(|line| std::ptr::eq(line, rules))
                })
                .collect();
            if let Some(key) = key
                && let [only] = methods[..]
                && key == only.full_name()
                && !only.kind.many_answers()
            {
                let what = format!("`{key}` answers one message, which is no event");
                let problem = Problem::error(Tnd::WrongType, what)
                    .why("only streams have events to number")
                    .fix("take `sse_id_field` out");
                self.report(problem, &trail);
                continue;
            }
            let streams = methods.into_iter().filter(|method| method.kind.many_answers());
            for method in streams {
                let Err(why) = FieldText::new(contract, method.output, field) else { continue };
                let what = format!("the messages of `{}` have no such id", method.full_name());
                let problem = Problem::error(Tnd::WrongType, what)
                    .here(cut(&why))
                    .why("its value numbers the events, so it must be one scalar of each message")
                    .fix(
                        "name a field like `revision` or `item.id`, under the methods that have it",
                    );
                self.report(problem, &trail);
                // The others of this line would say the same.
                break;
            }
        }
    }

    /// The line whose `rest` holds for `method`; `None` for a method that is not served.
    fn line_of_rest(&self, method: &Method) -> Option<&MethodRules> {
        let namespace = self.namespace;
        if !namespace.services().contains(&*method.service) {
            return None;
        }
        let whole = format!("{}/*", method.service);
        let lines = [namespace.methods.get(method.full_name()), namespace.methods.get(&whole)];
        let found = lines.into_iter().flatten().find(|rules| rules.rest.is_some());
        Some(found.unwrap_or(&namespace.defaults))
    }
}
