//! Linux: a file in a directory of the user's own under `/dev/shm`.

mod attach;
mod directory;
mod file;
mod host;
mod inspect;
mod mapping;
mod sigbus;

pub use directory::Directory;
pub use host::Host;
pub use mapping::Mapping;
