use super::*;

/// The template that google/gemma-2-2b-it ships.
const SHIPPED: &str = "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not \
supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) \
%}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if \
(message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ \
'<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if \
add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}";

fn conversation() -> Vec<Message> {
    vec![
        Message::new(Role::System, "Be brief. "),
        Message::new(Role::User, "  Hi\n"),
        Message::new(Role::Assistant, "\tHello! "),
        Message::new(Role::User, "How {{ are }} you?"),
    ]
}

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::parse(Path::new("test"), source.to_owned()).unwrap()
}

fn render(source: &str) -> Result<String, ChatError> {
    template(source).render(&conversation(), "<bos>", true)
}

#[test]
fn gemmas_format() {
    let expected = "<bos><start_of_turn>user\nBe brief. \n\n  Hi<end_of_turn>\n<start_of_turn>model\nHello!\
                    <end_of_turn>\n<start_of_turn>user\nHow {{ are }} you?<end_of_turn>\n<start_of_turn>model\n";
    assert_eq!(render(GEMMA_TEMPLATE).unwrap(), expected);
    assert_eq!(render(SHIPPED).unwrap(), expected);
}

#[test]
fn without_generation_prompt_an_answer_may_be_last() {
    let messages = &conversation()[..3];
    let text = template(GEMMA_TEMPLATE).render(messages, "<bos>", false).unwrap();
    assert!(text.ends_with("<start_of_turn>model\nHello!<end_of_turn>\n"), "{text}");
    let error = template(GEMMA_TEMPLATE).render(messages, "<bos>", true).unwrap_err();
    assert!(matches!(error, ChatError::NothingToAnswer { index: 2 }));
}

#[test]
fn python_methods_and_block_trimming_work() {
    let source = "{% for message in messages %}\n    {% if loop.last %}\n{{ message.content.upper().strip() }}\n    \
                  {% endif %}\n{% endfor %}\n";
    assert_eq!(render(source).unwrap(), "HOW {{ ARE }} YOU?\n");
    assert_eq!(render("{{ messages | length }}{{ tools is defined }}").unwrap(), "3False");
}

#[test]
fn templates_can_refuse_fail_and_never_hang() {
    let refused = render("{{ raise_exception('not today') }}").unwrap_err();
    let source = std::error::Error::source(&refused).unwrap();
    assert!(source.to_string().contains("not today"), "{source}");
    for source in [
        "{{ nothing.at.all }}",
        "{{ 'a' - 1 }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{{ 1 }}{% endfor %}{% endfor %}\
         {% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ] {
        let rendered = render(source);
        assert!(matches!(rendered, Err(ChatError::Render { .. })), "{source}: {rendered:?}");
    }
    let error = ChatTemplate::parse(Path::new("x"), "{% for".to_owned()).unwrap_err();
    assert!(matches!(error, ChatError::Syntax { .. }));
}

#[test]
fn templates_are_found_in_the_order_transformers_looks() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let rendered = || ChatTemplate::open(directory.path())?.render(&conversation(), "<bos>", true);

    assert_eq!(rendered().unwrap(), render(GEMMA_TEMPLATE).unwrap());
    write("tokenizer_config.json", r#"{"chat_template": null}"#);
    assert_eq!(rendered().unwrap(), render(GEMMA_TEMPLATE).unwrap());
    write("tokenizer_config.json", r#"{"chat_template": "one"}"#);
    assert_eq!(rendered().unwrap(), "one");
    let named =
        r#"{"chat_template": [{"name": "rag", "template": "x"}, {"name": "default", "template": "two"}]}"#;
    write("tokenizer_config.json", named);
    assert_eq!(rendered().unwrap(), "two");
    for (malformed, part) in [
        ("{", "not valid JSON"),
        (r#"{"chat_template": 3}"#, "must be a string"),
        (r#"{"chat_template": [{"name": "rag", "template": "x"}]}"#, "found: rag"),
    ] {
        write("tokenizer_config.json", malformed);
        let message = rendered().unwrap_err().to_string();
        assert!(message.contains(part) && message.contains("tokenizer_config.json"), "{message}");
    }
    write("chat_template.jinja", "three\n");
    assert_eq!(rendered().unwrap(), "three");
}
