//! The field's own clients, as PyPI has them, work against a cluster: Triton's for the Open Inference Protocol, gRPC's
//! for health and reflection. The script asks, this test judges.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use helixflow_tests::cluster::LocalCluster;
use helixflow_tests::{python, workspace_root};
use serde_json::{Value, json};

const MODEL: &str = "smollm2-135m-instruct";

/// What the clients got, as one JSON object.
fn ask(endpoint: &str) -> Result<Value> {
    let script = workspace_root().join("tests/scripts/open_inference_client.py");
    let output = Command::new(python()?).arg(script).args([endpoint, MODEL]).output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the clients failed: {words}");
    serde_json::from_slice(&output.stdout).context("what the clients got")
}

/// The texts of a request's replies.
fn texts(replies: &Value) -> Vec<&str> {
    let replies = replies.as_array().map(Vec::as_slice).unwrap_or_default();
    replies.iter().filter_map(|reply| reply["outputs"]["text_output"].as_str()).collect()
}

/// Which of a request's replies say that they are the last.
fn finals(replies: &Value) -> Vec<bool> {
    let replies = replies.as_array().map(Vec::as_slice).unwrap_or_default();
    replies.iter().filter_map(|reply| reply["final"].as_bool()).collect()
}

fn check_catalogue(told: &Value) {
    assert_eq!(
        (&told["live"], &told["ready"], &told["model_ready"]),
        (&json!(true), &json!(true), &json!(true))
    );
    assert_eq!(told["server"]["name"], "helixflow");
    assert_eq!(told["model"]["versions"], json!(["1"]));
    assert_eq!(
        told["model"]["inputs"][0],
        json!({"name": "text_input", "datatype": "BYTES", "shape": ["1"]})
    );
    assert_eq!(told["index"]["models"][0]["state"], "READY");
    assert_eq!(told["unknown_model"]["status"], "StatusCode.NOT_FOUND");
    assert_eq!(told["not_served"]["status"], "StatusCode.UNIMPLEMENTED");
}

fn check_unary(told: &Value) -> String {
    let reply = &told["reply"];
    let text = reply["outputs"]["text_output"].as_str().unwrap_or_default();
    assert!(text.contains("Paris"), "{text:?}");
    assert_eq!(
        (&reply["id"], &reply["version"], &reply["final"]),
        (&json!("u-1"), &json!("1"), &json!(true))
    );
    assert_eq!(reply["outputs"]["num_output_tokens"], 8);
    assert_eq!(reply["outputs"]["finish_reason"], "length");
    assert_eq!(told["by_json"]["outputs"]["text_output"], text);
    for (refused, named) in [("bad", "temperature"), ("unknown", "beam_width")] {
        assert_eq!(told[refused]["status"], "StatusCode.INVALID_ARGUMENT");
        assert!(
            told[refused]["error"].as_str().is_some_and(|error| error.contains(named)),
            "{}",
            told[refused]
        );
    }
    assert_eq!(told["unknown_model"]["status"], "StatusCode.NOT_FOUND");
    text.to_owned()
}

fn check_streams(told: &Value, whole: &str) {
    let tokens = texts(&told["tokens"]);
    assert!(tokens.len() > 4, "a reply for each token: {tokens:?}");
    for request in ["tokens", "whole", "empty_final", "after_bad"] {
        assert_eq!(texts(&told[request]).concat(), whole, "{request}");
        let (last, others) =
            finals(&told[request]).split_last().map_or((false, Vec::new()), |(l, o)| (*l, o.to_vec()));
        assert!(last && !others.contains(&true), "{request}");
    }
    let last = told["empty_final"].as_array().and_then(|replies| replies.last());
    assert_eq!(last.map(|reply| &reply["outputs"]), Some(&json!({})));
    for (request, status) in [("bad", Value::Null), ("bad_with_status", json!("StatusCode.INVALID_ARGUMENT"))]
    {
        let failed = &told[request][0];
        assert!(failed["error"].as_str().is_some_and(|error| error.contains("beam_width")), "{failed}");
        assert_eq!(failed["status"], status);
    }
}

fn check_health_and_reflection(told: &Value) {
    let expected = json!({
        "server": "SERVING", "service": "SERVING", "watch": "SERVING", "watch_unknown": "SERVICE_UNKNOWN",
    });
    for (question, answer) in expected.as_object().into_iter().flatten() {
        assert_eq!(&told["health"][question], answer, "{question}");
    }
    assert_eq!(told["health"]["unknown"]["status"], "StatusCode.NOT_FOUND");
    let listed = told["reflection"].as_array().map(Vec::as_slice).unwrap_or_default();
    for service in
        ["helixflow.v1.InferenceService", "inference.GRPCInferenceService", "grpc.health.v1.Health"]
    {
        assert!(listed.iter().any(|name| name == service), "{service} is not among {listed:?}");
    }
}

#[test]
fn open_inference_clients_work_unmodified() -> Result<()> {
    let cluster = LocalCluster::start(&["--coordinators", "1", "--nodes", "1"])?;
    let endpoint = cluster.endpoints()?.into_iter().next().context("a coordinator")?;
    let told = ask(&endpoint)?;
    check_catalogue(&told["catalogue"]);
    let whole = check_unary(&told["unary"]);
    check_streams(&told["streams"], &whole);
    check_health_and_reflection(&told);
    Ok(())
}
