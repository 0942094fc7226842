//! What a panic ends.

/// From now on a panic on any thread ends the process, with SIGABRT, after its message: a shard that died
/// alone would leave the others answering for it. In profiles with `panic = "abort"` it does so anyway.
pub fn end_the_process() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const CHILD: &str = "DURAMEN_PANIC_IN_A_THREAD";

    #[test]
    fn a_panic_of_one_thread_ends_the_process() {
        if std::env::var_os(CHILD).is_some() {
            super::end_the_process();
            let _ = std::thread::spawn(|| panic!("on purpose")).join();
            return;
        }
        let name = concat!(module_path!(), "::a_panic_of_one_thread_ends_the_process");
        let name = name.split_once("::").expect("a path has a crate").1;
        let mut child = Command::new(std::env::current_exe().expect("the test has a file"));
        let output = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().expect("it runs");
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{:?}", output.status);
        assert!(String::from_utf8_lossy(&output.stderr).contains("on purpose"));
    }
}
