# SPDX-License-Identifier: Apache-2.0
"""The node's own network: the interface by which ranks find each other, and which ports are taken."""
