//! The codes of problems and their pages of the manual. A code is never used for anything else
//! later (experience UX-21).
//!
//! Not here: the sentences of a single problem.

use std::fmt;

macro_rules! codes {
    ($($name:ident $number:literal $title:literal)*) => {
        /// The code of a problem.
        ///
        /// `tandem help TNDxxxx` prints its page, [`help_page`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Tnd { $(#[doc = $title] $name),* }

        impl Tnd {
            /// Every code that this build can give.
            pub const ALL: &[Tnd] = &[$(Tnd::$name),*];

            /// `TND0101`.
            pub fn name(self) -> &'static str {
                match self { $(Tnd::$name => concat!("TND", $number)),* }
            }

            /// What all problems of the code have in common.
            pub fn title(self) -> &'static str {
                match self { $(Tnd::$name => $title),* }
            }
        }

        /// The page of the manual: cause, example, remedy (Markdown).
        pub fn help_page(code: Tnd) -> &'static str {
            match code {
                $(Tnd::$name => include_str!(
                    concat!("../../../../docs/manual/errors/TND", $number, ".md")
                )),*
            }
        }
    };
}

codes! {
    PortTaken "0001" "port taken"
    KeyFileReadable "0002" "key file readable by others"
    NoAdminCredential "0003" "no usable admin credential"
    NotBuiltIn "0004" "feature not built in"
    FileIsThere "0005" "file is there already"
    NotWritten "0006" "file cannot be written"
    WrongAddress "0007" "wrong address"
    UnknownKey "0101" "unknown key"
    WrongType "0102" "wrong type or missing unit"
    DuplicateKey "0103" "duplicate key"
    OverLimit "0104" "over a limit"
    FileUnreadable "0105" "file cannot be read"
    NotYaml "0106" "not YAML"
    MissingKey "0107" "missing key"
    OutsideGrant "0110" "outside what the namespace may claim"
    ClaimedByAnother "0111" "claimed by another namespace"
    UnknownMethod "0112" "unknown method"
    UnknownUpstream "0113" "unknown upstream"
    MirroredWrite "0114" "mirrored write"
    NoAuthPolicy "0115" "no auth policy"
    MirroredInPart "0118" "writes of a stateful service mirrored in part"
    EqualRules "0120" "equal rules"
    SettingRefused "0122" "setting refused"
    UnknownIdentity "0123" "unknown issuer, or keys that nobody takes"
    ContractUnusable "0201" "descriptor unusable"
    NoEditionCompiler "0202" "editions source without `buf` or `protoc`"
    TemplateError "0203" "template error"
    NoReflection "0205" "no reflection"
    DifferentContracts "0206" "different contracts"
    Unreachable "0301" "unreachable"
    NotGrpc "0302" "no HTTP/2 where it is expected"
    CertificateRefused "0303" "certificate refused"
    AddressForbidden "0304" "address forbidden"
    NoCredential "0401" "no credential"
    NoRight "0402" "no right"
    KeySetUnreadable "0403" "key set cannot be read"
    StoreInUse "0501" "store in use"
    StoreDamaged "0502" "store damaged, last good kept"
    NewerVersion "0503" "a newer version was published"
    AuditBroken "0504" "audit chain broken"
    StoreUnwritable "0505" "store cannot be read or written"
    NoVersion "0506" "no such version"
    NoStore "0507" "no store"
    SideEffects "0604" "side effects without a hook"
    RemoteTarget "0605" "remote target"
    OtherAgent "0606" "agent of another version"
    RecordsUnusable "0607" "records that cannot be used"
}

impl Tnd {
    /// The code called `TND0101`, in any case.
    pub fn named(name: &str) -> Option<Tnd> {
        Tnd::ALL.iter().copied().find(|code| code.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Tnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
