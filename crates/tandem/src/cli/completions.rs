//! `tandem completions SHELL`: a script by which the shell completes commands and flags.
//!
//! It is made from the same definition as the help, so it knows every command and no other. That of
//! bash also offers methods where a command takes one: those of the contract or of the server that the
//! line names, else of the running gateway. They are asked for a second at most (or
//! `TANDEM_COMPLETE_SECONDS`), and where nobody
//! tells them nothing is offered and nothing is said.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use tandem_contract::Contract;

use super::{AdminArguments, contract, target};
use crate::failure::{Exit, Failure};
use crate::output;

/// Whose methods are meant.
#[derive(Debug, Args)]
pub(super) struct Methods {
    #[arg(long)]
    contract: Option<PathBuf>,
    #[arg(long)]
    server: Option<String>,
    #[command(flatten)]
    admin: AdminArguments,
}

/// Prints the methods, a line each; nothing where they cannot be had.
pub(super) async fn methods(arguments: Methods, timeout: Duration) -> Result<Exit, Failure> {
    let found = tokio::time::timeout(timeout, names(&arguments, timeout)).await;
    if let Ok(Ok(names)) = found {
        output::data(&names.join("\n"));
    }
    Ok(Exit::Fine)
}

async fn names(arguments: &Methods, timeout: Duration) -> Result<Vec<String>, Failure> {
    if let Some(file) = &arguments.contract {
        return Ok(names_of(&contract::from_file(file)?.0));
    }
    if let Some(server) = &arguments.server {
        return Ok(names_of(&target::contract_at(server, timeout).await?));
    }
    let served = arguments.admin.client(timeout)?.get("/api/v1/methods").await?;
    let methods = served["methods"].as_array().into_iter().flatten();
    Ok(methods.filter_map(|one| Some(one["method"].as_str()?.to_owned())).collect())
}

fn names_of(contract: &Contract) -> Vec<String> {
    contract.methods().map(|(_, method)| method.full_name().to_owned()).collect()
}

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[arg(value_enum)]
    shell: Shell,
}

/// What bash does beyond flags and commands. The first word behind the command may be a method, and
/// those behind a method; behind a flag stands its value.
const METHODS_OF_BASH: &str = r#"
_tandem_methods() {
    local whose=() i
    for ((i = 2; i < COMP_CWORD; i++)); do
        case "${COMP_WORDS[i]}" in
            --admin | --token-file | --context | --server | --contract)
                # Bash cuts words at `=` and `:`.
                local value="${COMP_WORDS[i + 1]}"
                [[ $value == = ]] && value="${COMP_WORDS[i + 2]}"
                [[ ${COMP_LINE} =~ ${COMP_WORDS[i]}[=\ ]+([^\ ]+) ]] && value="${BASH_REMATCH[1]}"
                whose+=("${COMP_WORDS[i]}" "$value")
                ;;
        esac
    done
    # Whoever pressed a key waits.
    command tandem complete-methods --timeout "${TANDEM_COMPLETE_SECONDS:-1}" "${whose[@]}" 2>/dev/null </dev/null
}

_tandem_with_methods() {
    _tandem "$@"
    local word="${COMP_WORDS[COMP_CWORD]}" behind="${COMP_WORDS[COMP_CWORD - 1]}" names
    case "${COMP_WORDS[1]}" in
        call | describe | verdict | diffs | compare) ;;
        *) return 0 ;;
    esac
    [[ $COMP_CWORD -lt 2 || $word == -* ]] && return 0
    [[ $COMP_CWORD -gt 2 && $behind != */* ]] && return 0
    names=$(_tandem_methods)
    [[ -z $names ]] && return 0
    COMPREPLY=($(compgen -W "$names" -- "$word"))
    # A tail is enough for a command: `GetP` finds `shop.v1.Shop/GetProduct`.
    [[ ${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(grep -F -- "$word" <<<"$names"))
    return 0
}

complete -F _tandem_with_methods -o bashdefault -o default tandem
"#;

pub(super) fn completions(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let mut all = super::CommandLine::command();
    clap_complete::generate(arguments.shell, &mut all, "tandem", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if arguments.shell == Shell::Bash {
        script.push_str(METHODS_OF_BASH);
    }
    output::data(&script);
    Ok(Exit::Fine)
}
