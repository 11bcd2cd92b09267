"""Single photographs with another face: IDEudemon (Wen et al. 2023) and, by a key, KFAAR (2024)."""
