"""The manifests of other tools, read and written without a workspace."""
