# SPDX-License-Identifier: Apache-2.0
"""The node's own network: the interface over which ranks find each other, and which ports are taken."""
