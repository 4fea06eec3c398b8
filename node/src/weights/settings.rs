//! What a fetch may be told by configuration: where the hub is, which pip to run, how long to wait.

use std::time::Duration;

/// The programs and addresses that a fetch uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchSettings {
    /// Base URL of the Hugging Face hub or of a mirror. Plain HTTP is taken for loopback addresses only.
    pub hub: String,
    /// Ways to start pip, each a program and its first arguments; the first that is installed is used.
    pub pip: Vec<Vec<String>>,
    /// How long a fetch waits, and how often it tries again.
    pub patience: Patience,
}

/// How long a fetch waits, and how often it tries again. Nothing limits the whole: a download that moves is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// To open a connection. Ten seconds cover two lost SYN packets.
    pub connect: Duration,
    /// From the request to the first line of the answer.
    pub answer: Duration,
    /// Between two pieces of a body; a connection that is silent for longer is given up.
    pub silence: Duration,
    /// Tries after the first, counted anew when a try has brought a good piece of the file.
    pub retries: u32,
    /// Pause before the first retry; each further one is twice as long, up to [`Patience::longest_pause`].
    pub first_pause: Duration,
    /// The longest pause between two tries.
    pub longest_pause: Duration,
    /// For a pip that brings no byte. Its own time-outs and retries take up to two minutes.
    pub pip_silence: Duration,
    /// For another process that fetches the same file and brings no byte: it may be stopped.
    pub lock_silence: Duration,
}

impl Default for FetchSettings {
    fn default() -> Self {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect();
        Self {
            hub: "https://huggingface.co".to_owned(),
            pip: vec![words("python3 -m pip"), words("pip3")],
            patience: Patience::default(),
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            silence: Duration::from_secs(30),
            retries: 4,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(8),
            pip_silence: Duration::from_secs(180),
            lock_silence: Duration::from_secs(600),
        }
    }
}
