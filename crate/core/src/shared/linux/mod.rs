//! Linux: a file in a directory of the user's own under `/dev/shm`.

mod directory;
mod file;
mod host;
mod mapping;
mod sigbus;
mod survey;

pub use directory::Directory;
pub use host::Host;
pub use mapping::Mapping;
