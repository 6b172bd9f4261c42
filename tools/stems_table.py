"""Write stems.npy of the shipped static model: which token stands for each index term."""

import numpy as np

from memsieve.embed.static import SHIPPED, Static
from memsieve.search.stems import stem_table


def main() -> None:
    """Write the table anew; to be run after the vocabulary or the stemming has changed."""
    table = stem_table(Static())
    np.save(SHIPPED / "stems.npy", table)
    print(f"{SHIPPED / 'stems.npy'}: {len(table):,} stems")


if __name__ == "__main__":
    main()
