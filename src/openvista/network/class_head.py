"""The class head: which voxels belong to class k is a dot product of an embedding and the voxel's features."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from openvista.network.blocks import InstanceNorm
from openvista.network.convolution import Convolution


class MappingBlock(nn.Module):
    """leaky_relu(x + norm(conv(leaky_relu(norm(conv(x)))))): the post-mapping block of the class head."""

    slope = 0.01

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Convolution(channels, channels, bias=False)
        self.norm1 = InstanceNorm(channels, affine=False)
        self.conv2 = Convolution(channels, channels, bias=False)
        self.norm2 = InstanceNorm(channels, affine=False)

    def forward(self, x_NCXYZ: Tensor) -> Tensor:
        residual = functional.leaky_relu(self.norm1(self.conv1(x_NCXYZ)), self.slope, inplace=True)
        return functional.leaky_relu(self.norm2(self.conv2(residual)).add_(x_NCXYZ), self.slope, inplace=True)


class ClassHead(nn.Module):
    """Class ids to embeddings, and the image side that is shared by all classes.

    Args:
        filters: channels C of the decoder's features and length of an embedding.
        rows: size of the embedding table; a class id is a row.
    """

    def __init__(self, filters: int, rows: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(rows, filters)
        self.linear1 = nn.Linear(filters, filters)
        self.linear2 = nn.Linear(filters, filters)
        self.mapping = nn.Sequential(MappingBlock(filters), MappingBlock(filters))

    def map_features(self, features_NCXYZ: Tensor) -> Tensor:
        """The image side: runs once per window, whatever the number of classes. Keeps the shape."""
        return self.mapping(features_NCXYZ)

    def embed(self, class_ids_K: Tensor) -> Tensor:
        """Class ids (integers, rows of the table) to embeddings [K, C]."""
        hidden_KC = self.linear1(self.embedding_table(class_ids_K))
        hidden_KC = functional.layer_norm(hidden_KC, hidden_KC.shape[-1:])
        return self.linear2(functional.gelu(hidden_KC))


def dot_logits(embeddings_KC: Tensor, mapped_NCXYZ: Tensor) -> Tensor:
    """Logits [N, K, X, Y, Z] of K embeddings on mapped features."""
    return torch.einsum("kc,ncxyz->nkxyz", embeddings_KC, mapped_NCXYZ)
