//! A contract with the rules of a test, compiled once and without them.

use std::sync::LazyLock;

use protox::file::{File, FileResolver};
use tandem_contract::{ConfiguredFault, Contract, HttpMethod, RuleText};

/// Rules of one contract, at most; it has a method for each.
pub(crate) const RULES_MOST: usize = 24;

/// A contract whose method `M<number>` has the rule of that number.
pub(crate) fn served(rules: &[(HttpMethod, String)]) -> (Contract, Vec<ConfiguredFault>) {
    static PLAIN: LazyLock<Contract> = LazyLock::new(|| {
        let methods: String =
            (0..RULES_MOST).map(|number| format!("rpc M{number}(In) returns (In);")).collect();
        let fields: String = (0..6).map(|n| format!("string f{n} = {};", n + 1)).collect();
        let text = format!(
            "syntax = \"proto3\"; package t; message In {{ {fields} Sub sub = 7; }} \
             message Sub {{ string f = 1; }} service S {{ {methods} }}"
        );
        let mut compiler = protox::Compiler::with_file_resolver(One(text));
        compiler.open_file("one.proto").expect("the contract compiles");
        let set = compiler.encode_file_descriptor_set();
        Contract::from_descriptor_set(&set).expect("it is a contract")
    });
    let ids: Vec<_> = PLAIN.methods().map(|(id, _)| id).collect();
    PLAIN.with_rules(rules.iter().zip(ids).map(|((http_method, template), id)| {
        let (http_method, template) = (http_method.clone(), template.clone());
        let rule =
            RuleText { http_method, template, body: String::new(), response_body: String::new() };
        (id, vec![rule])
    }))
}

struct One(String);

impl FileResolver for One {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        File::from_source(name, &self.0)
    }
}
