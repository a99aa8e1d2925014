//! Which message is the settings of which service, and what its fields say of themselves (hybrid
//! SE-1, SE-9).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod texts;

use tandem_contract::Contract;
use tandem_contract::source::COMMENT_BYTES_MOST;
use tandem_contract::source::text::{ProtoText, compile};

const HEAD: &str = "syntax = \"proto3\"; package p; import \"tandem/settings/v1/settings.proto\";\n\
                    service A {} service B {} service C {}\n";

fn option(service: &str) -> String {
    format!("option (tandem.settings.v1.settings) = {{ service: \"{service}\" }};")
}

fn read(rest: &str) -> Contract {
    let text = format!("{HEAD}{rest}");
    Contract::from_descriptor_set(&texts::set(&[("p.proto", &text)])).unwrap()
}

/// Service and message of each, then the faults.
fn told(contract: &Contract) -> Vec<String> {
    let settings = contract
        .settings()
        .map(|(service, id)| format!("{service} {}", contract.message(id).full_name));
    settings.chain(contract.faults().iter().map(ToString::to_string)).collect()
}

#[test]
fn hybrid_se_1_a_message_is_the_settings_of_the_service_that_it_names() {
    let contract = read(&format!(
        "message In {{ message Deep {{ {} }} {} }} message Other {{}}",
        option("p.A"),
        option("p.B"),
    ));
    assert_eq!(told(&contract), ["p.A p.In.Deep", "p.B p.In"]);
    assert_eq!(contract.settings_of("p.B"), contract.message_named("p.In"));
    assert_eq!(contract.settings_of("p.C"), None);
    // Files of reflection come one by one, in any order.
    let mut files: Vec<Vec<u8>> = contract.files().map(|(_, file)| file.to_vec()).collect();
    files.reverse();
    let reflected = Contract::from_file_descriptors(&files).unwrap();
    assert_eq!(told(&reflected), told(&contract));
    assert_eq!(reflected.digest(), contract.digest());
}

#[test]
fn hybrid_se_1_settings_of_nobody_and_a_second_message_are_faults_with_a_place() {
    let fix = "write `option (tandem.settings.v1.settings) = { service: \"package.Service\" };` \
               with a service of this contract";
    let contract = read(&format!(
        "message One {{ {} }} message Two {{ {} }} message Three {{ {} }} message Four {{ {} }}",
        option("p.A"),
        option("p.A"),
        option("p.D"),
        option(""),
    ));
    assert_eq!(
        told(&contract),
        [
            "p.A p.One".to_owned(),
            "p.proto: p.Two: the settings of `p.A` are `p.One` already, which count; give each \
             service one settings message"
                .to_owned(),
            format!("p.proto: p.Three: it is the settings of `p.D`, which is not here; {fix}"),
            format!(
                "p.proto: p.Four: it is the settings of a service and does not say of which; {fix}"
            ),
        ]
    );
}

#[test]
fn an_option_of_somebody_else_with_the_same_number_is_not_ours() {
    let text = "syntax = \"proto3\"; package p; import \"google/protobuf/descriptor.proto\";\n\
                extend google.protobuf.MessageOptions { string settings = 51873; }\n\
                message M { option (settings) = \"p.A\"; } service A {}";
    assert_eq!(told(&texts::contract(text)), [""; 0]);
}

#[test]
fn hybrid_se_9_fields_of_settings_have_their_comments_and_no_others_do() {
    let contract = read(&format!(
        "// Not a field.\n\
         message S {{ {}\n\
           // In percent\n  // of the price.\n  //\n  // At most 60.\n  int32 percent = 7;\n\
           string behind = 2; // Stands behind.\n\
           /* A block\n   of lines. */\n  map<string, Inner> inner = 3;\n\
           string silent = 4;\n\
           message Deep {{ message Er {{\n// Deeper.\nint32 er = 1; }}\n// Deep.\nEr er = 9; }}\n\
           Deep deep = 5; }}\n\
         message Inner {{\n// Of another message.\nS again = 1; }}\n\
         message Other {{\n// Nobody asks.\nint32 other = 1; }}\n",
        option("p.A"),
    ));
    let comment = |message: &str, field: &str| {
        let id = contract.message_named(message).unwrap();
        let (_, field) = contract.message(id).field_named(field).unwrap();
        contract.comment(id, field)
    };
    assert_eq!(comment("p.S", "percent"), Some("In percent of the price.\nAt most 60."));
    assert_eq!(comment("p.S", "behind"), Some("Stands behind."));
    assert_eq!(comment("p.S", "inner"), Some("A block of lines."));
    assert_eq!(comment("p.S", "silent"), None);
    assert_eq!(comment("p.S.Deep", "er"), Some("Deep."));
    assert_eq!(comment("p.S.Deep.Er", "er"), Some("Deeper."));
    assert_eq!(comment("p.Inner", "again"), Some("Of another message."));
    assert_eq!(comment("p.Other", "other"), None);
}

#[test]
fn a_comment_is_cut_at_its_bound() {
    let of = |letters: usize| {
        let comment = "ä".repeat(letters);
        let contract =
            read(&format!("message S {{ {}\n//{comment}\nint32 a = 1; }}", option("p.A")));
        let id = contract.message_named("p.S").unwrap();
        contract.comment(id, &contract.message(id).fields[0]).unwrap().to_owned()
    };
    let most = COMMENT_BYTES_MOST / 2;
    assert_eq!(of(most), "ä".repeat(most));
    let cut = of(most + 1);
    assert!(cut.len() <= COMMENT_BYTES_MOST && cut.ends_with("ä…"), "{}", cut.len());
}

#[test]
fn texts_that_are_compiled_here_keep_the_comments_of_fields_alone() {
    let text = format!(
        "{HEAD}// Above a message.\nmessage S {{ {}\n// Above a field.\nint32 a = 1; int32 b = 2; }}",
        option("p.A")
    );
    let set = compile(&[ProtoText { name: "p.proto".into(), text }]).unwrap();
    let contract = Contract::from_descriptor_set(&set).unwrap();
    assert_eq!(told(&contract), ["p.A p.S"]);
    let id = contract.message_named("p.S").unwrap();
    assert_eq!(contract.comment(id, &contract.message(id).fields[0]), Some("Above a field."));
    let holds = |word: &str| set.windows(word.len()).any(|bytes| bytes == word.as_bytes());
    assert!(holds("Above a field.") && !holds("Above a message."));
}
