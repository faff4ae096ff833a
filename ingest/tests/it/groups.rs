//! A gateway that acts for a management group: whose reports it takes, what it writes on them, and what
//! operators see of it.

use patchline_schemas::{Codec, Heartbeat};
use serde_json::{Value, json};

use crate::security::{WORKSPACE, closed, eventually, post_as};
use crate::stack::{JSON, Stack, directory, heartbeat, shared_kafka};

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_computers_report_under_its_name_and_the_list_is_read_again() {
    let file = directory("groups").join("groups.toml");
    let write = |computers: &str, revoked: &str| {
        let text = format!(
            "revoked = [{revoked}]\n[computer_groups]\nweb = [\"web-*\"]\n[groups.contoso]\nworkspace = \"{WORKSPACE}\"\ncomputers = [{computers}]\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    write("\"@web\"", "");
    let acting =
        format!("groups_file = {:?}\nacts_for = \"contoso\"\n", file.display().to_string());
    let stack = Stack::start("groups", &shared_kafka(), &closed(&acting)).await;

    let group = "group:contoso";
    let mut web = heartbeat("web-1");
    web["ManagementGroupName"] = json!("AOI-somebody-else");
    assert_eq!(post_as(&stack, group, &web).await.status, 200);
    assert_eq!(post_as(&stack, "computer:id-of-web-2", &heartbeat("web-2")).await.status, 200);
    let outside = post_as(&stack, group, &heartbeat("db-1")).await;
    assert_eq!((outside.status.as_u16(), &outside.json()["field"]), (403, &json!("Computer")));
    assert_eq!(post_as(&stack, "computer:id-of-web-1", &heartbeat("web-2")).await.status, 403);
    assert_eq!(post_as(&stack, "group:other", &heartbeat("web-1")).await.status, 403);

    eventually("both are in Kafka", async || stack.kept(&stack.topics.heartbeats).len() == 2).await;
    let codec = Codec::new().unwrap();
    for message in stack.kept(&stack.topics.heartbeats) {
        let report: Heartbeat<'_> = codec.decode(&message.payload).unwrap();
        assert_eq!(report.management_group_name, "contoso");
        assert_eq!(
            (&*report.category, &*report.sc_agent_channel),
            ("SCOM Agent", "SCManagementServer")
        );
    }

    let url = format!("http://{}/groups", stack.admin());
    let page = async |headers: &[(&str, &str)]| {
        stack.send(hyper::Method::GET, &url, headers, "".into()).await.unwrap()
    };
    let html = String::from_utf8(page(&[]).await.body.to_vec()).unwrap();
    assert!(
        html.contains("1 management group connected") && html.contains("<td>contoso"),
        "{html}"
    );
    let groups: Value = page(&[("accept", JSON.1)]).await.json();
    assert_eq!((&groups[0]["name"], &groups[0]["connectedAgents"]), (&json!("contoso"), &json!(2)));
    assert!(groups[0]["lastData"].as_str().is_some());
    let metrics = stack.metrics().await;
    assert!(metrics.contains("patchline_gateway_group_agents{group=\"contoso\"} 2"), "{metrics}");
    assert!(
        metrics
            .contains("patchline_gateway_group_last_data_timestamp_seconds{group=\"contoso\"} 1")
    );

    write("\"@web\", \"db-1\"", "\"urn:patchline:computer:id-of-web-2\"");
    eventually("the list is read again", async || {
        post_as(&stack, group, &heartbeat("db-1")).await.status == 200
    })
    .await;
    assert_eq!(
        post_as(&stack, "computer:id-of-web-2", &heartbeat("web-2")).await.status,
        403,
        "revoked"
    );
    std::fs::write(&file, "[groups.contoso]\ncomputers = 7\n").unwrap();
    eventually("the senseless list is seen", async || {
        stack.metrics().await.contains("reloads_total{outcome=\"kept\",what=\"groups\"} 1")
    })
    .await;
    assert_eq!(
        post_as(&stack, group, &heartbeat("db-1")).await.status,
        200,
        "the former list holds"
    );
}
