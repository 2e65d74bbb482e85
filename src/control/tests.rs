use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::serve::{MOST, PATIENCE};
use super::*;
use crate::model::Clock;
use crate::store::Store;
use crate::store::tests::{folder, open_at};

const NUMBER: &str = "09900000001";

/// An agent, as far as commands know it.
struct Agent {
    folder: TempDir,
    store: Store,
    control: Arc<Control>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Agent {
    async fn start() -> Self {
        Self::start_in(folder()).await
    }

    async fn start_in(folder: TempDir) -> Self {
        let store = open_at(&folder.path().join("store.redb")).unwrap();
        let control = Arc::new(Control::new(store.clone(), Clock::system()));
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(run(Arc::clone(&control), shutdown.clone()));
        let agent = Self { folder, store, control, shutdown, task };
        while agent.connect().await.is_none() && !agent.task.is_finished() {
            sleep(Duration::from_millis(1)).await;
        }
        agent
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.redb")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("store.redb.sock")
    }

    async fn connect(&self) -> Option<UnixStream> {
        UnixStream::connect(self.socket()).await.ok()
    }

    /// Sends bytes and reads all of the answer.
    async fn answer_to(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn erase(&self) -> Result<Erasure, AskError> {
        erase(&self.path(), NUMBER, &mut |_, _| {}).await
    }

    async fn stop(self) -> TempDir {
        self.shutdown.cancel();
        self.task.await.unwrap();
        self.store.close().await;
        self.folder
    }
}

#[tokio::test]
async fn a_number_is_erased_through_a_socket_that_only_its_user_can_open() {
    let agent = Agent::start().await;
    let file = std::fs::metadata(agent.socket()).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    assert!(agent.erase().await.unwrap().is_new);
    assert_eq!(agent.erase().await.unwrap(), Erasure::default(), "twice is once");
    let empty = erase(&agent.path(), " ", &mut |_, _| {}).await.unwrap_err();
    assert!(matches!(&empty, AskError::Refused(reason) if reason.contains("empty")), "{empty}");
    let (path, socket) = (agent.path(), agent.socket());
    let _folder = agent.stop().await;
    assert!(!socket.exists(), "it goes with the agent");
    let gone = erase(&path, NUMBER, &mut |_, _| {}).await.unwrap_err();
    assert!(matches!(gone, AskError::Unreachable { .. }), "{gone}");
}

#[tokio::test]
async fn what_a_killed_agent_left_is_replaced_and_another_file_is_not() {
    let folder = folder();
    let socket = folder.path().join("store.redb.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists(), "nobody listens there any more");
    let agent = Agent::start_in(folder).await;
    assert!(agent.erase().await.unwrap().is_new);
    let folder = agent.stop().await;

    std::fs::write(&socket, "somebody's notes").unwrap();
    let store = open_at(&folder.path().join("store.redb")).unwrap();
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    run(Arc::new(Control::new(store.clone(), Clock::system())), shutdown).await;
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "somebody's notes");
    store.close().await;
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_socket_costs_nothing_but_the_socket() {
    let folder = folder();
    let store = folder.path().join("x".repeat(120));
    let told = erase(&store, NUMBER, &mut |_, _| {}).await.unwrap_err().to_string();
    assert!(told.contains("a socket's may have 107") && told.contains("shorter store.path"), "{told}");
    let longest = LONGEST_PATH - ".sock".len();
    assert!(socket_of(Path::new(&"x".repeat(longest))).is_ok());
    assert!(socket_of(Path::new(&"x".repeat(longest + 1))).is_err());

    let open = open_at(&store).unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(run(Arc::new(Control::new(open.clone(), Clock::system())), shutdown.clone()));
    sleep(Duration::from_millis(20)).await;
    assert!(!task.is_finished(), "a task that ends would be started again and again");
    shutdown.cancel();
    task.await.unwrap();
    open.close().await;
}

#[tokio::test]
async fn who_waits_for_a_turn_is_told_when_the_agent_stops() {
    let agent = Agent::start().await;
    let turn = agent.control.turn.lock().await;
    let path = agent.path();
    let waits = tokio::spawn(async move { erase(&path, NUMBER, &mut |_, _| {}).await });
    sleep(Duration::from_millis(50)).await;
    assert!(!waits.is_finished());
    agent.shutdown.cancel();
    let refused = waits.await.unwrap().unwrap_err();
    assert!(matches!(&refused, AskError::Refused(reason) if reason.contains("erase again")), "{refused}");
    drop(turn);
    agent.stop().await;
}

#[tokio::test]
async fn erasing_goes_on_when_the_one_who_asked_is_gone() {
    let agent = Agent::start().await;
    let turn = agent.control.turn.lock().await;
    let mut stream = agent.connect().await.unwrap();
    stream.write_all(&line(&Wish::Erase { number: NUMBER.into() }).unwrap()).await.unwrap();
    // The first sign of life: it has begun.
    stream.read_u8().await.unwrap();
    drop(stream);
    drop(turn);
    // Behind that one in the queue.
    assert_eq!(agent.erase().await.unwrap(), Erasure::default(), "it was erased before");
    agent.stop().await;
}

#[tokio::test]
async fn nobody_can_hold_the_socket() {
    let agent = Agent::start().await;
    let unknown = agent.answer_to(b"{\"sing\":{}}\n").await;
    assert!(unknown.contains("refused") && unknown.contains(env!("CARGO_PKG_VERSION")), "{unknown}");
    assert_eq!(agent.answer_to(&[b'x'; LINE as usize]).await, "", "a line without end");

    let mut silent = Vec::new();
    for _ in 0..MOST {
        silent.push(agent.connect().await.unwrap());
    }
    let mut one_more = agent.connect().await.unwrap();
    assert_eq!(one_more.read(&mut [0]).await.unwrap(), 0, "there is no place");
    assert!(matches!(agent.erase().await, Err(AskError::Lost)));
    tokio::time::pause();
    let began = Instant::now();
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
    assert!(began.elapsed() < PATIENCE + Duration::from_secs(1), "{:?}", began.elapsed());
    tokio::time::resume();
    assert!(agent.erase().await.unwrap().is_new);
    agent.stop().await;
}

#[tokio::test]
async fn a_conversation_that_breaks_off_is_told_of() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    std::fs::write(&path, "").unwrap();
    let listener = UnixListener::bind(folder.path().join("store.redb.sock")).unwrap();
    for (answer, is_lost) in [
        (&b"\"waiting\"\n{\"looked_at\":{\"done\":7,\"total\":9}}\n"[..], true),
        (b"{\"erased\":", true),
        (b"{\"sung\":{}}\n", false),
    ] {
        let mut told = Vec::new();
        let mut progress = |done, total| told.push((done, total));
        let agent = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let wish = read_line(&mut stream).await.unwrap().unwrap();
            assert_eq!(wish, b"{\"erase\":{\"number\":\"09900000001\"}}\n");
            stream.write_all(answer).await.unwrap();
        };
        let (result, ()) = tokio::join!(erase(&path, NUMBER, &mut progress), agent);
        let error = result.unwrap_err();
        assert_eq!(matches!(error, AskError::Lost), is_lost, "{error}");
        assert_eq!(told.len(), usize::from(answer.starts_with(b"\"w")));
        assert!(!error.to_string().contains(NUMBER));
    }
}
