//! Whether this machine can run the node: io_uring, limits, ports. Each refusal says what to do.

use crate::process::descriptors;
use crate::process::refusal::Refusal;
use crate::process::system::{self, Limit, Resource};
use engine::folder::JOURNALS;
use engine::ids::ShardId;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// glommio registers rings and buffers; it refuses to start below this.
const LOCKED_MEMORY_MIN: u64 = 512 << 10;
/// Checks everything but the data folder, and raises the limits as far as they go. Listeners are named by their
/// option, and stand for shard 0.
pub fn check(
    listeners: impl Iterator<Item = (&'static str, SocketAddr)>,
    shards: u16,
    http: SocketAddr,
) -> Result<(), Refusal> {
    io_uring(system::try_io_uring())?;
    locked_memory(limit(Resource::LockedMemory)?)?;
    for (option, listen) in listeners {
        for shard in 0..shards {
            let address = SocketAddr::new(listen.ip(), listen.port() + shard);
            port_becomes_free(address).map_err(|error| {
                port_refusal(&format!("shard {}", ShardId(shard)), option, address, &error)
            })?;
        }
    }
    port_is_free(http).map_err(|error| port_refusal("HTTP", "--http-listen", http, &error))
}

fn limit(resource: Resource) -> Result<Limit, Refusal> {
    let remedy = "allow getrlimit and setrlimit in the sandbox that this runs in";
    system::raise_limit(resource)
        .map_err(|error| Refusal::environment(format!("{resource:?}: {error}"), remedy))
}

fn io_uring(tried: io::Result<()>) -> Result<(), Refusal> {
    let Err(error) = tried else { return Ok(()) };
    let what = format!("io_uring cannot be used here: io_uring_setup says {error}");
    let remedy = match error.raw_os_error() {
        Some(libc::ENOSYS) => "run on Linux 5.11 or newer, with a seccomp profile that knows io_uring",
        Some(libc::EPERM | libc::EACCES) => {
            "in a container, allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile \
             (docker: --security-opt seccomp=unconfined, or a profile with these three); \
             on the host, `sysctl kernel.io_uring_disabled` must be 0"
        }
        Some(libc::ENOMEM) => "raise the limit of locked memory (ulimit -l, LimitMEMLOCK=)",
        _ => "run on Linux 5.11 or newer with io_uring enabled",
    };
    Err(Refusal::environment(what, remedy))
}

fn locked_memory(limit: Limit) -> Result<(), Refusal> {
    if limit.soft >= LOCKED_MEMORY_MIN {
        return Ok(());
    }
    let what = format!(
        "the limit of locked memory is {} KiB; io_uring needs {} KiB",
        limit.soft >> 10,
        LOCKED_MEMORY_MIN >> 10
    );
    Err(Refusal::environment(
        what,
        "ulimit -l 8192, LimitMEMLOCK=8M in a systemd unit, or docker --ulimit memlock=8388608",
    ))
}

/// What the process may open, after raising it as far as it goes; refused when that does not leave
/// the segments in the data folder, the shards and a few clients their descriptors.
pub fn open_files(data_dir: &Path, shards: u16) -> Result<usize, Refusal> {
    let limit = usize::try_from(limit(Resource::OpenFiles)?.soft).unwrap_or(usize::MAX);
    enough_open_files(limit, shards, files_in(data_dir))?;
    Ok(limit)
}

fn enough_open_files(limit: usize, shards: u16, files: usize) -> Result<(), Refusal> {
    let needed = descriptors::needed(shards, files);
    if limit >= needed {
        return Ok(());
    }
    let what = format!(
        "only {limit} files may be open; {shards} shard(s), the {files} files in the data folder and a few \
         clients need {needed}"
    );
    let enough = needed.next_power_of_two().max(65536);
    Err(Refusal::environment(
        what,
        format!(
            "ulimit -n {enough}, LimitNOFILE={enough} in a systemd unit, or docker --ulimit nofile={enough}"
        ),
    ))
}

/// Files of all journals. What cannot be listed is told by those who need it.
fn files_in(data_dir: &Path) -> usize {
    let list = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    list(&data_dir.join(JOURNALS)).map(|journal| list(&journal.path()).count()).sum()
}

/// A killed broker's listening sockets live on after the process: its io_uring holds them until the
/// kernel has torn it down, tens of milliseconds later on a busy machine.
const PORT_RELEASE_MAX: Duration = Duration::from_secs(2);
const PORT_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Waits for a port that a broker killed just now may still hold.
fn port_becomes_free(address: SocketAddr) -> io::Result<()> {
    let since = Instant::now();
    loop {
        match port_is_free(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && since.elapsed() < PORT_RELEASE_MAX => {
                std::thread::sleep(PORT_LOOK_INTERVAL);
            }
            other => return other,
        }
    }
}

/// Binds and lets go again. Without SO_REUSEPORT, which would share the port with a broker that
/// has it; with SO_REUSEADDR, or connections in TIME_WAIT would refuse the restart after a kill.
fn port_is_free(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    // Two sockets may both be bound with SO_REUSEADDR as long as none listens.
    socket.listen(1)
}

fn port_refusal(who: &str, option: &str, address: SocketAddr, error: &io::Error) -> Refusal {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "stop what listens there (ss -ltnp 'sport = :{}'), or give {option} another port",
                address.port()
            )
        }
        io::ErrorKind::AddrNotAvailable => format!("give {option} an address of this machine"),
        io::ErrorKind::PermissionDenied => {
            format!("give {option} a port from 1024 on, or the right to bind lower ones")
        }
        _ => format!("give {option} another address"),
    };
    let what = if error.kind() == io::ErrorKind::AddrInUse {
        "the port is taken".to_owned()
    } else {
        error.to_string()
    };
    Refusal::environment(format!("cannot listen on {address} for {who}: {what}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_io_uring_names_the_three_calls_and_the_switch() {
        let refusal = io_uring(Err(io::Error::from_raw_os_error(libc::EPERM))).expect_err("refused");
        assert_eq!(refusal.exit_code, crate::process::refusal::EXIT_ENVIRONMENT);
        assert!(
            refusal.remedy.contains("io_uring_register")
                && refusal.remedy.contains("kernel.io_uring_disabled")
        );
        assert!(io_uring(Ok(())).is_ok());
    }

    #[test]
    fn little_locked_memory_is_refused() {
        let refusal = locked_memory(Limit { soft: 64 << 10, hard: 64 << 10 }).expect_err("refused");
        assert!(refusal.what.contains("64 KiB"), "{refusal}");
        assert!(locked_memory(Limit { soft: 512 << 10, hard: 512 << 10 }).is_ok());
    }

    #[test]
    fn too_few_open_files_for_what_is_in_the_folder_are_refused_with_the_number() {
        assert!(enough_open_files(1024, 2, 100).is_ok());
        let refusal = enough_open_files(1024, 2, 1000).expect_err("refused");
        assert_eq!(refusal.exit_code, crate::process::refusal::EXIT_ENVIRONMENT);
        assert!(refusal.what.contains("the 1000 files in the data folder"), "{refusal}");
        assert!(refusal.remedy.contains("ulimit -n 65536"), "{refusal}");
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_taken() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let error = port_is_free(address).expect_err("taken");
        assert!(
            port_refusal("shard 0", "--listen", address, &error).to_string().contains("the port is taken")
        );
        drop(listener);
        port_is_free(address).expect("free again");
    }
}
