"""The two-way transformer of SAM: click tokens look at the image, and the image looks at them.

Its weights are random at first; :func:`look_nearby` makes them compare places from the start.

Shape letters: B objects, T tokens of one object, S voxels of the halved window in one row, C channels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS = 4
HIDDEN = 512
"""Width of the tokens' MLP (paper facts §3)."""
FEW = 16
"""Up to so many tokens it is quicker to bring the tokens to the image's width than the image to the heads'. One core,
262,144 voxels, 48 channels: see the two methods below."""

GAIN = 3.0
"""Weight of the waves: one adds GAIN² to a comparison at the same place, and takes as much half a wavelength away."""
REST = 0.3
"""The other weights begin smaller by this factor, so that nearness outweighs them."""


class Attention(nn.Module):
    """Multi-head attention between two sets of vectors of width C.

    Args:
        channels: width C of what comes in and goes out.
        inner: width of the comparison, a multiple of the number of heads.
    """

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.query = nn.Linear(channels, inner)
        self.key = nn.Linear(channels, inner)
        self.value = nn.Linear(channels, inner)
        self.output = nn.Linear(inner, channels)

    def forward(self, query_BQC: Tensor, key_BKC: Tensor, value_BKC: Tensor) -> Tensor:
        """Return [B, Q, C]. A batch of 1 on one side serves all B of the other."""
        query, key, value = _heads(self.query(query_BQC)), _heads(self.key(key_BKC)), _heads(self.value(value_BKC))
        batch = max(query.shape[0], key.shape[0])
        query, key, value = (heads.expand(batch, -1, -1, -1) for heads in (query, key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.output(mixed.transpose(1, 2).flatten(2))

    def look_at_image(self, query_BTC: Tensor, placed_BSC: Tensor, image_BSC: Tensor) -> Tensor:
        """:meth:`forward` of tokens on a large image: [B, T, C].

        Few tokens spare the image two projections, by algebra that is exact: a head compares ``W_q t`` with ``W_k s``,
        which is comparing ``W_k' W_q t`` with s; and the mean of projected values is the projected mean. The key's bias
        adds the same to all comparisons of a token, which softmax does not see.
        """
        if query_BTC.shape[1] > FEW:
            return self(query_BTC, placed_BSC, image_BSC)
        query_BHTD = _heads(self.query(query_BTC))
        wanted_BHTC = query_BHTD @ self.key.weight.unflatten(0, (HEADS, -1)) * query_BHTD.shape[-1] ** -0.5
        share_BRS = (wanted_BHTC.flatten(1, 2) @ placed_BSC.transpose(1, 2)).softmax(-1)
        mean_BHTC = (share_BRS @ image_BSC).unflatten(1, (HEADS, -1))
        value_HCD = self.value.weight.unflatten(0, (HEADS, -1)).transpose(1, 2)
        value_BHTD = mean_BHTC @ value_HCD + self.value.bias.view(HEADS, 1, -1)
        return self.output(value_BHTD.transpose(1, 2).flatten(2))

    def look_at_tokens(self, placed_BSC: Tensor, key_BTC: Tensor, value_BTC: Tensor) -> Tensor:
        """:meth:`forward` of a large image on tokens: [B, S, C]. The same algebra where tokens are few."""
        if key_BTC.shape[1] > FEW:
            return self(placed_BSC, key_BTC, value_BTC)
        key_BHTD, value_BHTD = _heads(self.key(key_BTC)), _heads(self.value(value_BTC))
        key_BHTD = key_BHTD * key_BHTD.shape[-1] ** -0.5
        wanted_BHTC = key_BHTD @ self.query.weight.unflatten(0, (HEADS, -1))
        offset_BHT1 = key_BHTD @ self.query.bias.view(HEADS, -1, 1)
        compared_BRS = wanted_BHTC.flatten(1, 2) @ placed_BSC.transpose(1, 2) + offset_BHT1.flatten(1, 2)
        share_BRS = compared_BRS.unflatten(1, (HEADS, -1)).softmax(2).flatten(1, 2)
        given_BHTC = value_BHTD @ self.output.weight.unflatten(1, (HEADS, -1)).permute(1, 2, 0)
        return share_BRS.transpose(1, 2) @ given_BHTC.flatten(1, 2) + self.output.bias


def _heads(vectors_BTI: Tensor) -> Tensor:
    """[B, H, T, D]: what each head sees."""
    return vectors_BTI.unflatten(-1, (HEADS, -1)).transpose(1, 2)


class TwoWayBlock(nn.Module):
    """Tokens among themselves, tokens to image, tokens alone, image to tokens; each followed by a layer norm.

    Args:
        channels: width C.
        first: the first block's tokens still are their own positions, so these are not added again.
    """

    def __init__(self, channels: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attention = Attention(channels, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.tokens_to_image = Attention(channels, channels // 2)
        self.norm2 = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, HIDDEN)
        self.narrow = nn.Linear(HIDDEN, channels)
        self.norm3 = nn.LayerNorm(channels)
        self.image_to_tokens = Attention(channels, channels // 2)
        self.norm4 = nn.LayerNorm(channels)

    def forward(
        self, tokens_BTC: Tensor, image_BSC: Tensor, token_position_BTC: Tensor, image_position_SC: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return tokens [B, T, C] and image [B, S, C]; the image that comes in may have a batch of 1."""
        if self.first:
            tokens = self.self_attention(tokens_BTC, tokens_BTC, tokens_BTC)
        else:
            placed = tokens_BTC + token_position_BTC
            tokens = tokens_BTC + self.self_attention(placed, placed, tokens_BTC)
        tokens = self.norm1(tokens)

        placed_image = image_BSC + image_position_SC
        tokens = self.norm2(
            tokens + self.tokens_to_image.look_at_image(tokens + token_position_BTC, placed_image, image_BSC)
        )
        tokens = self.norm3(tokens + self.narrow(torch.relu(self.widen(tokens))))

        image = self.image_to_tokens.look_at_tokens(placed_image, tokens + token_position_BTC, tokens)
        return tokens, self.norm4(image_BSC + image)


class TwoWayTransformer(nn.Module):
    """Two blocks, and a last look of the tokens at the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([TwoWayBlock(channels, first=True), TwoWayBlock(channels, first=False)])
        self.last_look = Attention(channels, channels // 2)
        self.norm = nn.LayerNorm(channels)

    def forward(self, tokens_BTC: Tensor, image_1SC: Tensor, image_position_SC: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens [B, T, C] and image [B, S, C]. The tokens that come in are their own positions."""
        tokens, image = tokens_BTC, image_1SC
        for block in self.blocks:
            tokens, image = block(tokens, image, tokens_BTC, image_position_SC)
        last = self.last_look.look_at_image(tokens + tokens_BTC, image + image_position_SC, image)
        return self.norm(tokens + last), image


def sort_waves(waves_3W: Tensor) -> Tensor:
    """The waves, longest first: those tell places apart without repeating themselves inside the window."""
    if waves_3W.is_meta:  # without values there is no order
        return waves_3W
    return waves_3W[:, waves_3W.norm(dim=0).argsort()]


@torch.no_grad()
def look_nearby(transformer: TwoWayTransformer) -> None:
    """Let all attention between clicks and image begin with nearness; the position's waves are sorted."""
    for block in transformer.blocks:
        _compare_places(block.tokens_to_image)  # type: ignore[arg-type]
        _compare_places(block.image_to_tokens)  # type: ignore[arg-type]
    _compare_places(transformer.last_look)


def _compare_places(attention: Attention) -> None:
    """Each head takes the next waves: sine and cosine of one in two of its channels."""
    inner, channels = attention.query.weight.shape
    waves = channels // 2
    for projection in (attention.query, attention.key):
        nn.init.zeros_(projection.bias)
        if projection.weight.is_meta:
            continue
        projection.weight.mul_(REST)
        for pair in range(inner // HEADS // 2 * HEADS):
            row, wave = 2 * pair, pair % waves
            projection.weight[row : row + 2] = 0
            projection.weight[row, wave] = projection.weight[row + 1, waves + wave] = GAIN
