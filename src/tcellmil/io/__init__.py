"""Files of other tools: pySCENIC's tables, GMT, MSigDB's JSON, SCENIC loom, GCTX."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_adjacencies": ["read_adjacencies", "write_adjacencies"],
        "_motifs": ["read_motifs", "write_motifs"],
        "_signatures._gctx": ["read_gctx"],
        "_gmt": ["read_gmt", "write_gmt"],
        "_msigdb": ["read_msigdb_json"],
        "_net": ["read_net"],
        "_loom": ["read_scenic_loom", "write_scenic_loom"],
        "_rankings": ["read_motif_annotations", "read_rankings"],
    },
)
