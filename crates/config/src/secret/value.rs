//! A value that is not shown and does not stay in memory.
//!
//! Not here: keeping it (`super`).

use zeroize::Zeroize;

/// Something that no message may hold: it can be neither printed nor serialized, and its memory
/// is wiped when it is dropped.
///
/// ```compile_fail
/// let secret = tandem_config::secret::Secret::new(b"tell nobody".to_vec());
/// println!("{secret:?}");
/// ```
///
/// ```compile_fail
/// let secret = tandem_config::secret::Secret::new("tell nobody".to_owned());
/// println!("{secret}");
/// ```
///
/// ```compile_fail
/// let secret = tandem_config::secret::Secret::new("tell nobody".to_owned());
/// serde_json::to_string(&secret).unwrap();
/// ```
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Keeps `value` from being shown.
    pub fn new(value: T) -> Secret<T> {
        Secret(value)
    }

    /// The value, for the one line that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
