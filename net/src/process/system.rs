//! Calls into Linux that std has no safe name for, each behind a small safe function. Decides
//! nothing; `environment` and `signals` do.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

/// A soft and a hard limit of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub soft: u64,
    pub hard: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    OpenFiles,
    LockedMemory,
}

impl Resource {
    fn number(self) -> libc::__rlimit_resource_t {
        match self {
            Self::OpenFiles => libc::RLIMIT_NOFILE,
            Self::LockedMemory => libc::RLIMIT_MEMLOCK,
        }
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Raises the soft limit to the hard one and returns what holds afterwards.
pub fn raise_limit(resource: Resource) -> io::Result<Limit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that outlives both calls.
    unsafe {
        check(libc::getrlimit(resource.number(), &mut limit))?;
        limit.rlim_cur = limit.rlim_max;
        check(libc::setrlimit(resource.number(), &limit))?;
    }
    Ok(Limit { soft: limit.rlim_cur, hard: limit.rlim_max })
}

/// The cores that this process may run on, in order.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    // SAFETY: a cpu_set_t is plain bits, for which zero is valid; the kernel gets its true size.
    let set = unsafe {
        let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed().assume_init();
        check(libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set))?;
        set
    };
    let bits = 8 * size_of::<libc::cpu_set_t>();
    // SAFETY: every index is below the set's number of bits.
    Ok((0..bits).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
}

/// Makes an io_uring of 8 entries and closes it again.
pub fn try_io_uring() -> io::Result<()> {
    // struct io_uring_params is 120 bytes; zeros ask for nothing special.
    let mut params = [0u64; 15];
    // SAFETY: the kernel writes at most 120 bytes to `params`, which has as many, suitably aligned.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 8, params.as_mut_ptr()) };
    let Ok(fd) = libc::c_int::try_from(fd) else {
        return Err(io::Error::other("a descriptor beyond an int"));
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was made above and is used nowhere else.
    check(unsafe { libc::close(fd) })
}

/// What statx says of direct I/O on a file: alignments of memory and of positions, bytes.
/// None when the kernel does not tell (before 6.1), zeros when the file cannot do it.
pub fn direct_io_alignment(file: &File) -> io::Result<Option<(u32, u32)>> {
    let mut facts = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is an empty C string, the descriptor is open, the kernel fills `facts`,
    // and zeros are valid for what it leaves out.
    let facts = unsafe {
        let flags = libc::AT_EMPTY_PATH;
        check(libc::statx(file.as_raw_fd(), c"".as_ptr(), flags, libc::STATX_DIOALIGN, facts.as_mut_ptr()))?;
        facts.assume_init()
    };
    let told = facts.stx_mask & libc::STATX_DIOALIGN != 0;
    Ok(told.then_some((facts.stx_dio_mem_align, facts.stx_dio_offset_align)))
}

/// What a file system says of itself.
#[derive(Clone, Copy, Debug)]
pub struct FileSystem {
    /// Its kind, by Linux's magic numbers.
    pub magic: i64,
    pub total_bytes: u64,
    /// What this process may still take.
    pub free_bytes: u64,
}

/// The file system that an open file or folder is on.
pub fn file_system(file: &File) -> io::Result<FileSystem> {
    let mut facts = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the descriptor is open and the kernel fills `facts`.
    let facts = unsafe {
        check(libc::fstatfs(file.as_raw_fd(), facts.as_mut_ptr()))?;
        facts.assume_init()
    };
    let block = u64::try_from(facts.f_bsize).unwrap_or(0);
    Ok(FileSystem {
        magic: facts.f_type,
        total_bytes: facts.f_blocks.saturating_mul(block),
        free_bytes: facts.f_bavail.saturating_mul(block),
    })
}

/// fallocate: the file is at least `bytes` long, its blocks reserved.
pub fn allocate(file: &File, bytes: i64) -> io::Result<()> {
    // SAFETY: an open descriptor and plain numbers.
    check(unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, bytes) })
}

/// Physical memory of the machine, bytes.
pub fn physical_memory() -> u64 {
    // SAFETY: sysconf takes plain numbers.
    let (pages, page) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    u64::try_from(pages).unwrap_or(0).saturating_mul(u64::try_from(page).unwrap_or(0))
}

/// Those that ask a process to stop.
pub const STOP_SIGNALS: &[i32] = &[libc::SIGTERM, libc::SIGINT];

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: sigemptyset makes the set valid; the others add to a valid set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

/// Blocks signals in this thread and those it starts, so that only [`wait_for_signal`] sees them. SIGXFSZ is ignored: a
/// file-size limit is then the error of the write that met it.
pub fn block_signals(signals: &[i32]) -> io::Result<()> {
    // SAFETY: called before other threads exist; the set is valid; ignoring is async-signal-safe.
    unsafe {
        let set = set_of(signals);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        check(libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()))
    }
}

/// Waits for one of these, which are blocked, and returns its number.
pub fn wait_for_signal(signals: &[i32]) -> i32 {
    let set = set_of(signals);
    let mut signal = 0;
    // SAFETY: the set is valid and `signal` outlives the call.
    while unsafe { libc::sigwait(&set, &mut signal) } != 0 {}
    signal
}

/// Ends the process now: no destructors, no flushing.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Writes to stderr what it takes without blocking; the rest is dropped.
pub fn write_stderr_if_ready(text: &str) {
    let mut poll = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // A pipe that polls writable takes PIPE_BUF bytes without blocking.
    let bytes = &text.as_bytes()[..text.len().min(libc::PIPE_BUF)];
    // SAFETY: one valid pollfd, and a readable slice of the length given.
    unsafe {
        if libc::poll(&mut poll, 1, 0) == 1 && poll.revents & libc::POLLOUT != 0 {
            libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len());
        }
    }
}
