# SPDX-License-Identifier: Apache-2.0
"""Which names are misspelt ones of ours, and which are the operator's own: never a false error on those."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.inventory.spelling import meant
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.inventory.values import specs

KNOWN = sorted(specs())
# As inventories have them: of racks, of other roles and programs, with our prefixes and without.
OWN = """
ascend_rack ascend_room ascend_row ascend_site ascend_site_note ascend_note ascend_owner ascend_team ascend_vlan
ascend_port ascend_ip ascend_bmc_ip ascend_bmc_user ascend_bmc_password ascend_asset_tag ascend_serial ascend_model
ascend_pod ascend_zone ascend_tier ascend_role ascend_boot ascend_npu_count ascend_card_model ascend_card_vendor
ascend_driver_run ascend_driver_version ascend_firmware_version ascend_mgmt_ip ascend_gateway ascend_clock
ascend_block ascend_keys ascend_tools ascend_jump_host ascend_contact ascend_ticket ascend_env ascend_stage
ascend_region ascend_cluster ascend_queue ascend_partition ascend_storage_ip ascend_roce_ip ascend_backup ascend_motd
ascend_dns ascend_ntp ascend_proxy ascend_http_proxy ascend_home ascend_host ascend_name ascend_group ascend_version
ascend_packages ascend_settings_note ascend_policy train_team train_mode train_host train_job train_data train_queue
train_owner train_image train_budget train_gpu train_dataset train_output train_lr train_epochs train_seed
train_script train_path train_model train_batch train_rank train_priority cann_path cann_home cann_env cann_file
cann_mirror cann_log cann_owner cann_version cann_license cann_ops cann_user cann_group cann_url cann_boot depot_owner
depot_site depot_host depot_port depot_user depot_disk depot_vg depot_backup depot_room depot_path depot_url depot_dir
depot_size depot_host_port drift_mail drift_team drift_owner drift_url drift_room drift_limit drift_log drift_ticket
drift_day drift_hour serve_port serve_host nightly_backup nightly_reboot nightly_window nightly_mail nightly_host
nightly_time preflight_owner preflight_rack preflight_log preflight_site preflight_note preflight_data preflight_user
python_version python_path python_packages python_interpreter python_home system_packages system_users system_timezone
system_locale system_owner notify_slack notify_team notify_channel notify_email notify_phone notify_on notify_url
notify_user torch_version torch_npu_version torch_home torch_cache rollout_window rollout_owner rollout_ticket
rollout_freeze rollout_group rollout_approver remove_old_kernels remove_users rollback_plan verify_ssl verify_tls
verify_user verify_certs llamafactory_data llamafactory_dir llamafactory_user rack rack_unit rack_id site_name
datacenter owner team contact bmc_host bmc_user ipmi_password slurm_partition slurm_node_name node_exporter_port
prometheus_url ntp_servers dns_servers http_proxy https_proxy no_proxy timezone vlan_id mgmt_ip serial_number
asset_tag location env environment stage region zone cluster_name k8s_node_labels docker_version proxy_env users
groups packages admin_users ssh_port sshd_config firewall_rules nfs_mounts lustre_mount storage_pool backup_server
company_ca_cert grafana_password vault_token registry_mirror apt_mirror yum_mirror pip_index_url npu_count card_memory
release release_name keep root deep locks python depot mirror train_users_group users_ascend ascend_users_group
ascend_release_notes ascend_root_disk ascend_root_size ascend_cache_disk ascend_state ascend_tmp
ascend_python_packages depot_transport_note drift_dir_owner
""".split()  # noqa: SIM905  (a list of 240 lines is read by nobody)
MISSPELT = {
    "ascend_relase": "ascend_release",
    "ascend_releas": "ascend_release",
    "acsend_release": "ascend_release",
    "ascend_releese": "ascend_release",
    "ascend-release": "ascend_release",
    "ascend.release": "ascend_release",
    "Ascend_Release": "ascend_release",
    "ascendRelease": "ascend_release",
    "ASCEND_RELEASE": "ascend_release",
    "ascend_release_dir": "ascend_releases_dir",
    "ascend_user": "ascend_users",
    "ascend_usres": "ascend_users",
    "ascned_users": "ascend_users",
    "ascend_lock": "ascend_locks",
    "ascend_rooot": "ascend_root",
    "ascend_rot": "ascend_root",
    "ascend_card_cuont": "ascend_card_count",
    "ascend_cards_count": "ascend_card_count",
    "ascend_card_memory": "ascend_card_memory_mb",
    "ascend_card_memory_gb": "ascend_card_memory_mb",
    "ascend_card_out": "ascend_cards_out",
    "ascend_busy_wait": "ascend_busy_wait_s",
    "ascend_busy_polcy": "ascend_busy_policy",
    "ascend_busy_policies": "ascend_busy_policy",
    "ascend_policy_busy": "ascend_busy_policy",
    "ascend_depot_ulr": "ascend_depot_url",
    "depot_ascend_url": "ascend_depot_url",
    "ascend_depotdir": "ascend_depot_dir",
    "ascend_depot_transport": "depot_transport",
    "depot_tranpsort": "depot_transport",
    "depot_transprt": "depot_transport",
    "depot_trasnprot": "depot_transport",
    "depot-transport": "depot_transport",
    "ascend_cann_root": "cann_root",
    "can_root": "cann_root",
    "cann_acept_eula": "cann_accept_eula",
    "cann_eula_accept": "cann_accept_eula",
    "cann_accept_elua": "cann_accept_eula",
    "cann_allow_downgrades": "cann_allow_downgrade",
    "cann_alow_downgrad": "cann_allow_downgrade",
    "depot_architecture": "depot_architectures",
    "depot_architetcures": "depot_architectures",
    "depot_archtectures": "depot_architectures",
    "depot_incomming": "depot_incoming",
    "depot_mirrors_dir": "depot_mirror_dir",
    "depot_node_at_once": "depot_nodes_at_once",
    "drift_component": "drift_components",
    "drift_keep": "drift_keep_days",
    "drfit_dir": "drift_dir",
    "nightly_onfailure": "nightly_on_failure",
    "nightly_vault_pasword_file": "nightly_vault_password_file",
    "notify_webhook": "notify_webhooks",
    "notify_mail_form": "notify_mail_from",
    "preflight_levle": "preflight_level",
    "prefligth_mode": "preflight_mode",
    "remove_relaese": "remove_release",
    "rollout_batchs": "rollout_batches",
    "rollout_batch": "rollout_batches",
    "rolout_batches": "rollout_batches",
    "rollout_max_fail_precentage": "rollout_max_fail_percentage",
    "rollout_drain_comand": "rollout_drain_command",
    "rollout_drain_commnad": "rollout_drain_command",
    "train_nmae": "train_name",
    "train_node": "train_nodes",
    "train_confg": "train_config",
    "trian_config": "train_config",
    "train_divices": "train_devices",
    "train_master_prot": "train_master_port",
    "train_resmue": "train_resume",
    "llama_factory_source": "llamafactory_source",
    "llamafactory_sources": "llamafactory_source",
    "python-archive": "python_archive",
}


@pytest.mark.parametrize("name", OWN)
def test_a_name_of_the_operators_own_is_none_of_ours(name: str) -> None:
    assert meant(name, KNOWN) is None


def test_no_name_of_ours_is_a_misspelt_one() -> None:
    assert [name for name in KNOWN if meant(name, KNOWN)] == []


@pytest.mark.parametrize(("name", "right"), MISSPELT.items(), ids=MISSPELT)
def test_a_misspelt_name_is_known(name: str, right: str) -> None:
    assert meant(name, KNOWN) == right


def swapped(random: Random, name: str) -> str:
    at = random.choice([at for at in range(len(name) - 1) if name[at] != name[at + 1] and "_" not in name[at : at + 2]])
    return name[:at] + name[at + 1] + name[at] + name[at + 2 :]


def dropped(random: Random, name: str) -> str:
    at = random.choice([at for at in range(1, len(name)) if name[at] != "_"])
    return name[:at] + name[at + 1 :]


def doubled(random: Random, name: str) -> str:
    at = random.choice([at for at in range(len(name)) if name[at] != "_"])
    return name[:at] + name[at] + name[at:]


def plural(random: Random, name: str) -> str:
    words = name.split("_")
    at = random.choice([at for at, word in enumerate(words) if len(word) > 1])
    words[at] = words[at][:-1] if words[at].endswith("s") else words[at] + "s"
    return "_".join(words)


def hyphen(random: Random, name: str) -> str:
    return name.replace("_", random.choice(["-", "", "__"]), 1)


def twice(random: Random, name: str) -> str:
    return random.choice([swapped, dropped, doubled])(random, random.choice([swapped, dropped, doubled])(random, name))


@pytest.mark.parametrize(
    ("slip", "share"), [(swapped, 0.97), (dropped, 0.9), (doubled, 0.97), (plural, 0.97), (hyphen, 1.0), (twice, 0.65)]
)
def test_most_slips_of_every_name_of_ours_are_known(slip: Callable[[Random, str], str], share: float) -> None:
    """Short words are the rest: what one letter makes of them is another word."""
    random = Random(7)
    slips = [(slip(random, name), name) for name in KNOWN for _ in range(3)]
    slips = [(name, right) for name, right in slips if name not in KNOWN]
    found = [(meant(name, KNOWN), right) for name, right in slips]
    assert sum(name == right for name, right in found) >= share * len(slips)
    assert [name for name, right in found if name not in (None, right)] == [], "the nearest is the right one"
