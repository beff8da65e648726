//! What a shared table is bound to besides its bytes: whose it is, and whose clock its times are of.

use crate::error::{Error, SharedError, SharedErrorKind};
use crate::shared::LAYOUT_VERSION;
use rustix::fs::stat;
use rustix::io::Errno;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const TIME_NAMESPACE: &str = "/proc/self/ns/time";

/// The user, the boot, the time namespace, and what this build makes of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The user that processes run as and files belong to.
    pub uid: u32,
    /// Names this boot: the monotonic clock starts again with each.
    pub boot: [u64; 2],
    /// Names the time namespace: each has a monotonic clock of its own. 0 on a kernel without them.
    pub time_namespace: u64,
    /// Layout of header and tables.
    pub layout: u64,
}

impl Host {
    /// Of this process.
    pub fn current() -> Result<Self, Error> {
        Ok(Self {
            uid: rustix::process::geteuid().as_raw(),
            boot: boot()?,
            time_namespace: time_namespace()?,
            layout: LAYOUT_VERSION,
        })
    }
}

fn boot() -> Result<[u64; 2], Error> {
    let text = std::fs::read_to_string(BOOT_ID)
        .map_err(|error| failed(BOOT_ID, &format!("can't be read: {error}")))?;
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    let id = u128::from_str_radix(&digits, 16)
        .map_err(|_| failed(BOOT_ID, "holds no id of 32 hexadecimal digits"))?;
    let [high, low] = [id >> 64, id & u128::from(u64::MAX)];
    Ok([u64::try_from(high).unwrap_or(0), u64::try_from(low).unwrap_or(0)])
}

fn time_namespace() -> Result<u64, Error> {
    match stat(TIME_NAMESPACE) {
        Ok(found) => Ok(found.st_ino),
        // A kernel without time namespaces, before 5.6.
        Err(Errno::NOENT) => Ok(0),
        Err(error) => Err(failed(TIME_NAMESPACE, &format!("can't be read: {error}"))),
    }
}

fn failed(path: &str, reason: &str) -> Error {
    SharedError::error(SharedErrorKind::Failed, path.to_owned(), reason)
}
