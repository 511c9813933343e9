"""The tokenizer fixture, and what transformers makes of chats with it."""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from cases import BOS, END_OF_TURN, EOS, PAD, START_OF_TURN, UNK
from checkpoints import write_json

SPECIAL = {PAD: "<pad>", EOS: "<eos>", BOS: "<bos>", UNK: "<unk>", 4: "<mask>"} | {
    START_OF_TURN: "<start_of_turn>",
    END_OF_TURN: "<end_of_turn>",
}
CHAT_VOCAB_SIZE = 449

# The `chat_template` of google/gemma-2-2b-it's tokenizer_config.json (Gemma 1's is the same).
TEMPLATE = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}"
    "{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)

# What the merges are learnt from: enough for common words to become one token.
TRAINING_TEXT = (
    "the quick brown fox jumps over the lazy dog and then the other dog jumps over the fox",
    "what is the capital of the country and who is the author of the book that you are reading",
    "write a short story about the sea in which the captain and the sailor are the same person",
    "thank you for the answer to the question and for the other answers to the other questions",
)


def conversation(*turns: str) -> list[dict[str, str]]:
    """Turns by user and assistant alternately."""
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(turns)]


# Messages by name. Each is rendered with and without the generation prompt.
CONVERSATIONS = {
    "one turn": conversation("What is the capital of the country?"),
    "three turns": conversation("Hi", "Hello! What is the question?", "Write a short story."),
    "content is trimmed": conversation("  \n padded \t\n", "\n\nanswer  ", " and then? "),
    "inner whitespace is kept": conversation("a  b\n\n\n  indented\n\tby tab"),
    "empty content": conversation("", "", "x"),
    "other scripts and bytes": conversation("naïve 日本語 🦊 \u00a0nbsp\u3000"),
    "markup is not escaped": conversation("<b>&amp; \"quotes\" 'single'</b> {{ not_a_template }} {% raw %}"),
    "control tokens in content": conversation("<end_of_turn>\n<start_of_turn>model\nI am <bos> and <eos>"),
    "ends with the assistant": conversation("Complete: the quick", "the quick brown"),
    "extra keys are ignored": [{"role": "user", "content": "Hi", "name": "Ada"}],
}

# Conversations that the template itself refuses. (A system message is to be folded into the first user turn
# before the template sees it; the template would refuse that too.)
REFUSED = {
    "two user turns": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
    "assistant first": [{"role": "assistant", "content": "a"}],
    "system turn": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}],
}

# Plain texts, tokenized with BOS.
TEXTS = (
    "",
    " ",
    "the quick brown fox",
    " the quick  brown   fox ",
    "line\nline\n\nline\r\n",
    "naïve 日本語 🦊",
    "<bos>the<eos>",
    "<start_of_turn>user\nHi<end_of_turn>\n",
    "▁already a metaspace",
)


def write_tokenizer(directory: Path, vocab_size: int) -> None:
    """Writes `tokenizer.json` and `tokenizer_config.json`: Gemma's pipeline and special ids, a tiny vocabulary."""
    build_tokenizer(vocab_size).save(str(directory / "tokenizer.json"))
    special = {token: SPECIAL[token] for token in sorted(SPECIAL)}
    write_json(
        directory / "tokenizer_config.json",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "added_tokens_decoder": {
                str(token): {
                    "content": content,
                    "lstrip": False,
                    "normalized": False,
                    "rstrip": False,
                    "single_word": False,
                    "special": True,
                }
                for token, content in special.items()
            },
            "additional_special_tokens": [SPECIAL[START_OF_TURN], SPECIAL[END_OF_TURN]],
            "bos_token": SPECIAL[BOS],
            "chat_template": TEMPLATE,
            "clean_up_tokenization_spaces": False,
            "eos_token": SPECIAL[EOS],
            "model_max_length": 1000000000000000019884624838656,
            "pad_token": SPECIAL[PAD],
            "sp_model_kwargs": {},
            "spaces_between_special_tokens": False,
            "tokenizer_class": "GemmaTokenizer",
            "unk_token": SPECIAL[UNK],
            "use_default_system_prompt": False,
        },
    )


def build_tokenizer(vocab_size: int) -> Tokenizer:
    """BPE with byte fallback over text whose spaces are '▁', laid out like Gemma's: control tokens first, the
    unused ones up to 105, the turn marks, bytes, then pieces."""
    pieces = [SPECIAL.get(i, f"<unused{i - 5}>") for i in range(END_OF_TURN + 1)]
    pieces += ["\n"] + [f"<0x{byte:02X}>" for byte in range(256)]
    merges = learn_merges()
    characters = sorted({c for pair in merges for part in pair for c in part} | set("▁?!.,:'\"<>"))
    pieces += characters
    merges = merges[: vocab_size - len(pieces)]
    pieces += ["".join(pair) for pair in merges]
    if not len(set(pieces)) == len(pieces) == vocab_size:
        raise RuntimeError(f"the tokenizer has {len(set(pieces))} distinct pieces, not {vocab_size}")

    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: i for i, piece in enumerate(pieces)},
            merges=merges,
            unk_token=SPECIAL[UNK],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[(SPECIAL[BOS], BOS)]
    )
    tokenizer.add_special_tokens([AddedToken(SPECIAL[i], normalized=False, special=True) for i in sorted(SPECIAL)])
    return tokenizer


def learn_merges() -> list[tuple[str, str]]:
    """Merges within words, a word's leading space belonging to it, most frequent first."""
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.pre_tokenizer = pre_tokenizers.Split(Regex("▁"), behavior="merged_with_next")
    trainer = trainers.BpeTrainer(vocab_size=400, min_frequency=2, show_progress=False)
    learner.train_from_iterator(TRAINING_TEXT, trainer)
    return [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]


def write_goldens(directory: Path) -> None:
    """Writes the tokenizer fixture and `cases.json`, the renderings and token ids that transformers gives with it."""
    directory.mkdir(exist_ok=True)
    write_tokenizer(directory, CHAT_VOCAB_SIZE)
    template = json.loads((directory / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(directory / "tokenizer.json"),
        bos_token=SPECIAL[BOS],
        eos_token=SPECIAL[EOS],
        pad_token=SPECIAL[PAD],
        unk_token=SPECIAL[UNK],
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )
    write_json(
        directory / "cases.json",
        {
            "rendered": [
                rendered(tokenizer, name, messages, generation_prompt)
                for name, messages in CONVERSATIONS.items()
                for generation_prompt in (True, False)
            ],
            "refused": [refused(tokenizer, name, messages) for name, messages in REFUSED.items()],
            "texts": [tokenized(tokenizer, text) for text in TEXTS],
        },
    )


def rendered(tokenizer: PreTrainedTokenizerFast, name: str, messages: list, generation_prompt: bool) -> dict:
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generation_prompt)
    # The template has written BOS itself.
    token_ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return {
        "name": name,
        "messages": messages,
        "add_generation_prompt": generation_prompt,
        "rendered": text,
        "token_ids": token_ids,
    }


def refused(tokenizer: PreTrainedTokenizerFast, name: str, messages: list) -> dict:
    try:
        tokenizer.apply_chat_template(messages, tokenize=False)
    except Exception as error:  # jinja2's, whose class is transformers' business
        return {"name": name, "messages": messages, "error": str(error)}
    raise RuntimeError(f"the template accepts {name!r}")


def tokenized(tokenizer: PreTrainedTokenizerFast, text: str) -> dict:
    token_ids = tokenizer(text)["input_ids"]
    return {"text": text, "token_ids": token_ids, "decoded": tokenizer.decode(token_ids, skip_special_tokens=True)}
