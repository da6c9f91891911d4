"""Public architectures by name: torchvision's and timm's, and small models of the kinds that people write themselves.

torchvision and timm install without their dependencies beside the CPU build of torch:
``pip install --no-deps torchvision timm huggingface_hub safetensors``.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

TORCHVISION = """

alexnet:64 vgg11:64 vgg13_bn:64 resnet18:64 resnet50:64 resnext50_32x4d:64 wide_resnet50_2:64 densenet121:64
googlenet:96 inception_v3:299 mobilenet_v2:64 mobilenet_v3_small:64 mobilenet_v3_large:64 shufflenet_v2_x1_0:64
squeezenet1_1:64 mnasnet1_0:64 efficientnet_b0:64 efficientnet_v2_s:64 regnet_y_400mf:64 regnet_x_400mf:64
convnext_tiny:64 vit_b_32:224 swin_t:64 maxvit_t:224
"""
TIMM = """

resnet26d:64 resnetv2_50:64 seresnet50:64 ecaresnet26t:64 res2net50_26w_4s:64 resnest14d:64 skresnet18:64
dpn68:64 dla34:64 hrnet_w18_small:64 nfnet_l0:64 nf_resnet26:64 eca_nfnet_l0:64 nf_regnet_b0:64 repvgg_a0:64
xception41:96 selecsls42b:64 vovnet39a:64 cspresnet50:64 cspdarknet53:64 ghostnet_100:64 mixnet_s:64 tinynet_e:64
lcnet_050:64 hardcorenas_a:64 rexnet_100:64 mobileone_s0:64 convnext_atto:64 convnextv2_atto:64 edgenext_xx_small:64
fastvit_t8:64 mobilevit_xxs:64 mobilevitv2_050:64 efficientformer_l1:224 poolformer_s12:64 convmixer_768_32:64
vit_tiny_patch16_224:224 deit_tiny_patch16_224:224 cait_xxs24_224:224 xcit_nano_12_p16_224:224 beit_base_patch16_224:224
eva02_tiny_patch14_224:224 swin_tiny_patch4_window7_224:224 swinv2_cr_tiny_ns_224:224 pvt_v2_b0:64 twins_svt_small:64
coat_lite_tiny:224 levit_128s:224 volo_d1_224:224 mixer_s32_224:224 resmlp_12_224:224 gmlp_s16_224:224
visformer_tiny:224 focalnet_tiny_srf:64 davit_tiny:64 inception_next_atto:64 starnet_s1:64 hiera_tiny_224:224
nest_tiny:224 crossvit_tiny_240:240 tresnet_m:64 rdnet_tiny:64 repvit_m0_9:64 tiny_vit_5m_224:224 efficientvit_b0:64
gcvit_xxtiny:224 maxxvit_rmlp_nano_rw_256:256 bat_resnext26ts:256
"""


def names() -> list[tuple[str, str, int]]:
    """(library, model, side of its images)."""
    found = []
    for library, words in (("torchvision", TORCHVISION), ("timm", TIMM)):
        found += [(library, word.split(":")[0], int(word.split(":")[1])) for word in words.split()]
    return found


def made(library: str, name: str) -> nn.Module:
    """A model with the weights that it is published to start with."""
    from tests.frameworks import torchvision_ops  # noqa: F401

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if library == "torchvision":
            import torchvision

            more: dict[str, Any] = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
            return getattr(torchvision.models, name)(weights=None, **more)
        import timm

        return timm.create_model(name, pretrained=False)


class Siren(nn.Module):
    """Sitzmann et al. (2020): sin(30 (W x + b)), its own initialisation."""

    def __init__(self, width: int = 128, depth: int = 5) -> None:
        super().__init__()
        sizes = [2, *[width] * (depth - 1), 1]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        for index, layer in enumerate(self.layers):
            bound = 1 / 2 if index == 0 else (6 / width) ** 0.5 / 30
            nn.init.uniform_(layer.weight, -bound, bound)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:
            x = torch.sin(30 * layer(x))
        return self.layers[-1](x)


class NeRF(nn.Module):
    """Mildenhall et al. (2020): positional encoding, a skip of the input, two heads."""

    def __init__(self, width: int = 128, octaves: int = 6) -> None:
        super().__init__()
        inputs = 3 + 6 * octaves
        self.octaves = octaves
        self.first = nn.ModuleList([nn.Linear(inputs, width), *(nn.Linear(width, width) for _ in range(3))])
        self.second = nn.ModuleList([nn.Linear(width + inputs, width), *(nn.Linear(width, width) for _ in range(2))])
        self.density, self.feature = nn.Linear(width, 1), nn.Linear(width, width)
        self.view, self.colour = nn.Linear(width + 3, width // 2), nn.Linear(width // 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        point, direction = x[:, :3], x[:, 3:]
        encoded = torch.cat([point, *(f(2**k * point) for k in range(self.octaves) for f in (torch.sin, torch.cos))], -1)
        h = encoded
        for layer in self.first:
            h = F.relu(layer(h))
        h = torch.cat([h, encoded], -1)
        for layer in self.second:
            h = F.relu(layer(h))
        colour = F.relu(self.view(torch.cat([self.feature(h), direction], -1)))
        return torch.cat([torch.sigmoid(self.colour(colour)), F.relu(self.density(h))], -1)


class Coupling(nn.Module):
    """RealNVP (Dinh et al. 2017): scales and shifts of one half from the other."""

    def __init__(self, width: int = 8, blocks: int = 4) -> None:
        super().__init__()
        self.nets = nn.ModuleList(
            nn.Sequential(nn.Linear(width // 2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, width)) for _ in range(blocks)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for net in self.nets:
            a, b = x.chunk(2, -1)
            scale, shift = net(a).chunk(2, -1)
            x = torch.cat([b * torch.exp(torch.tanh(scale)) + shift, a], -1)
        return x


class Critic(nn.Module):
    """Soft actor-critic: states and actions side by side, twin heads."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Linear(23, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1))
        self.two = nn.Sequential(nn.Linear(23, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1))

    def forward(self, state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both = torch.cat([state, action], -1)
        return self.one(both), self.two(both)


class VAE(nn.Module):
    """Kingma & Welling (2014)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 128), nn.Tanh())
        self.mean, self.spread = nn.Linear(128, 8), nn.Linear(128, 8)
        self.decoder = nn.Sequential(nn.Linear(8, 128), nn.Tanh(), nn.Linear(128, 64), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.encoder(x)
        mean, spread = self.mean(h), self.spread(h)
        return self.decoder(mean + torch.exp(0.5 * spread) * torch.randn_like(mean))


class UNet(nn.Module):
    """Ronneberger et al. (2015), small."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()

        def pair(a: int, b: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(b, b, 3, padding=1), nn.ReLU(inplace=True))

        self.down = nn.ModuleList([pair(1, channels), pair(channels, 2 * channels)])
        self.bottom = pair(2 * channels, 4 * channels)
        self.up = nn.ModuleList([nn.ConvTranspose2d(4 * channels, 2 * channels, 2, 2), nn.ConvTranspose2d(2 * channels, channels, 2, 2)])
        self.back = nn.ModuleList([pair(4 * channels, 2 * channels), pair(2 * channels, channels)])
        self.head = nn.Conv2d(channels, 2, 1)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):  # standard deviation √(2/N), N incoming nodes of a unit
                fan = module.in_channels * module.kernel_size[0] * module.kernel_size[1]
                fan /= module.stride[0] ** 2 if isinstance(module, nn.ConvTranspose2d) else 1
                nn.init.normal_(module.weight, std=(2 / fan) ** 0.5)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for part in self.down:
            x = part(x)
            kept.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for up, back in zip(self.up, self.back, strict=True):
            x = back(torch.cat([kept.pop(), up(x)], 1))
        return self.head(x)


class ResidualMLP(nn.Module):
    """Pre-norm blocks of a tabular residual network."""

    def __init__(self, width: int = 128, blocks: int = 6) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(20, width), nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, 1))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(2 * width, width))
            for _ in range(blocks)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class Hypernetwork(nn.Module):
    """Weights that another network makes."""

    def __init__(self) -> None:
        super().__init__()
        self.maker = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 32 * 32))
        self.inputs, self.out = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.inputs(x))
        weight = self.maker(x).reshape(-1, 32, 32)
        return self.out(torch.tanh(torch.bmm(weight, h[:, :, None])[:, :, 0] / 32**0.5))


class Swish(nn.Module):
    """SwiGLU feed-forward behind RMSNorm, as in LLaMA."""

    def __init__(self, width: int = 64, blocks: int = 4) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(16, width), nn.Linear(width, 4)
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(blocks))
        self.gates = nn.ModuleList(nn.Linear(width, 2 * width, bias=False) for _ in range(blocks))
        self.ups = nn.ModuleList(nn.Linear(width, 2 * width, bias=False) for _ in range(blocks))
        self.downs = nn.ModuleList(nn.Linear(2 * width, width, bias=False) for _ in range(blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for norm, gate, up, down in zip(self.norms, self.gates, self.ups, self.downs, strict=True):
            h = norm(x)
            x = x + down(F.silu(gate(h)) * up(h))
        return self.head(x)


class GPT(nn.Module):
    """Pre-norm causal transformer, small, its own initialisation as GPT-2's."""

    def __init__(self, width: int = 64, blocks: int = 4, words: int = 50, length: int = 32) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 4 * width, 0.1, F.gelu, batch_first=True, norm_first=True) for _ in range(blocks)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words, bias=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        count = tokens.shape[1]
        x = self.words(tokens) + self.places(torch.arange(count, device=tokens.device))
        mask = nn.Transformer.generate_square_subsequent_mask(count)
        for block in self.blocks:
            x = block(x, src_mask=mask, is_causal=True)
        return self.head(self.norm(x))


class Reader(nn.Module):
    """Tokens through a recurrent layer to a label."""

    def __init__(self, kind: type[nn.Module] = nn.LSTM, width: int = 64) -> None:
        super().__init__()
        self.words = nn.Embedding(50, width)
        self.cells, self.head = kind(width, width, num_layers=2, batch_first=True), nn.Linear(width, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.cells(self.words(tokens))[0][:, -1])


class TCN(nn.Module):
    """Dilated causal convolutions with residual sums (Bai et al. 2018), weight-normalised."""

    def __init__(self, width: int = 32, blocks: int = 4) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.stem, self.head = nn.Conv1d(8, width, 1), nn.Conv1d(width, 2, 1)
        self.convs = nn.ModuleList(nn.ModuleList(norm(nn.Conv1d(width, width, 3, dilation=2**k)) for _ in range(2)) for k in range(blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for k, (a, b) in enumerate(self.convs):
            h = F.relu(a(F.pad(x, (2 * 2**k, 0))))
            x = F.relu(x + F.relu(b(F.pad(h, (2 * 2**k, 0)))))
        return self.head(x[:, :, -1:])


def pinn(depth: int = 8, width: int = 64) -> nn.Module:
    """Raissi et al. (2019): tanh, Xavier."""
    sizes = [2, *[width] * (depth - 1), 1]
    parts: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        parts += [nn.Linear(a, b), nn.Tanh()]
        nn.init.xavier_normal_(parts[-2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(parts[-2].bias)  # type: ignore[arg-type]
    return nn.Sequential(*parts[:-1])


def autoencoder() -> nn.Module:
    """Hinton & Salakhutdinov (2006), with a linear code."""
    sizes = [64, 256, 64, 16, 64, 256, 64]
    parts: list[nn.Module] = []
    for index, (a, b) in enumerate(itertools.pairwise(sizes)):
        parts += [nn.Linear(a, b), nn.Identity() if index == 2 else nn.ELU()]
    return nn.Sequential(*parts[:-1])


def policy() -> nn.Module:
    """PPO: orthogonal, tanh, a small last layer."""
    model = nn.Sequential(nn.Linear(17, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 6))
    for layer, gain in ((model[0], 2**0.5), (model[2], 2**0.5), (model[4], 0.01)):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return model


def own(seed: int = 0) -> dict[str, tuple[nn.Module, Any]]:
    """Models written by hand, and an input for each."""
    t = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=t)

    tokens = torch.randint(0, 50, (16, 24), generator=t)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a nested tensor is not used with norm_first
        encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), 3)
    return {
        "PINN": (pinn(), normal(64, 2)),
        "SIREN": (Siren(), torch.rand((64, 2), generator=t) * 2 - 1),
        "NeRF": (NeRF(), normal(64, 6)),
        "RealNVP": (Coupling(), normal(64, 8)),
        "SAC critic": (Critic(), (normal(64, 17), normal(64, 6))),
        "PPO policy": (policy(), normal(64, 17)),
        "VAE": (VAE(), normal(64, 64)),
        "autoencoder": (autoencoder(), normal(64, 64)),
        "U-Net": (UNet(), normal(4, 1, 32, 32)),
        "residual MLP": (ResidualMLP(), normal(64, 20)),
        "hypernetwork": (Hypernetwork(), normal(64, 16)),
        "GPT": (GPT(), tokens),
        "LSTM": (Reader(nn.LSTM), tokens),
        "GRU": (Reader(nn.GRU), tokens),
        "TransformerEncoder": (encoder, normal(8, 12, 64)),
        "SwiGLU": (Swish(), normal(16, 12, 16)),
        "TCN": (TCN(), normal(8, 8, 40)),
    }
