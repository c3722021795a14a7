"""What helps a pod that cannot start, by the kind of its trouble and the words that Kubernetes finds for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum


class Trouble(StrEnum):
    """What keeps a pod from starting."""

    IMAGE = "image"
    """A node cannot have the image."""
    CRASH = "crash"
    """The program ends, again and again."""
    CONFIG = "config"
    """The container cannot be made as it is asked for: a Secret, a key, a command, an account is missing."""
    VOLUME = "volume"
    """A volume cannot be made, attached or mounted."""
    SCHEDULING = "scheduling"
    """No node takes the pod."""
    QUOTA = "quota"
    """A rule of the cluster forbids the pod, so there is none: quota, limits, pod security, a webhook."""
    NODE = "node"
    """The node cannot give the pod its network."""
    EVICTED = "evicted"
    """The node refused the pod, or ended it."""


def remedy_for(trouble: Trouble, said: str) -> str:
    """What to do about a trouble of which Kubernetes said this."""
    return next(remedy for words, remedy in _REMEDIES[trouble] if re.search(words, said, re.IGNORECASE))


_REMEDIES: Mapping[Trouble, Sequence[tuple[str, str]]] = {
    Trouble.IMAGE: (
        (r"x509|certificate", "make the nodes' container runtime trust the CA that signed the registry's certificate"),
        (r"no such host|dial tcp|timeout|refused|deadline|unavailable",
         "let the nodes reach the registry: check its name, their DNS, firewall and proxy"),
        (r"toomanyrequests|too many requests", "wait, or pull with an account: the registry limits pulls"),
        (r"denied|unauthorized|authorization|forbidden|no basic auth",
         "give the pod an image pull secret that may read this repository, and check the image's name"),
        (r"no match for platform|exec format", "build the image for the architecture of the nodes"),
        (r"not found|manifest unknown|does not exist", "push this image, or name one that the registry has"),
        (r"invalid reference|parse image|InvalidImageName", "correct the image's name: registry/repository:tag"),
        (r"policy of Never|ErrImageNeverPull", "load the image onto the node, or let the pull policy be IfNotPresent"),
        (r"no space left", "free some disk on the node"),
        (r"", "pull this image on the node by hand (crictl pull) and look at what it says"),
    ),
    Trouble.CRASH: (
        (r"OOMKilled", "raise the container's memory limit"),
        (r"postStart", "run the hook's command in the container by hand; the node's kubelet log has what it said"),
        (r"", "read the container's log (kubectl logs --previous), correct what it names, and deploy again"),
    ),
    Trouble.CONFIG: (
        (r"service ?account", "make the service account that is named, or name one that is there"),
        (r"secret|configmap|config key|find key", "make the Secret or ConfigMap, with the key, that is named"),
        (r"executable file|no such file|permission denied|exec format",
         "correct the container's command, or take an image that has this program for the nodes' architecture"),
        (r"non-root|runAsNonRoot|runAsUser", "take an image with a user other than root, or set runAsUser"),
        (r"", "correct the container's settings; kubectl describe pod shows them all"),
    ),
    Trouble.VOLUME: (
        (r"persistentvolumeclaims? \"[^\"]+\" not found", "make the claim that is named, or name one that is there"),
        (r"storageclass.* not found", "name a storage class that the cluster has (kubectl get storageclass)"),
        (r"no storage class is set", "set the claim's storage class, or mark one as the default"),
        (r"Multi-Attach|exclusively attached|ReadWriteOncePod|already used by",
         "end the pod that has the volume; if its node is gone for good, taint it node.kubernetes.io/out-of-service"),
        (r"affinity|zone", "make room where the volume is: it can be used on some nodes only"),
        (r"max volume count", "add a node: these have as many volumes as they can"),
        (r"external provisioner", "look at the provisioner's pods: it was asked for the volume and does not make it"),
        (r"quota|forbidden", "ask for less storage, or have the namespace's quota raised"),
        (r"mount\.nfs|bad option|helper program|exit status 32",
         "install the file system's client on the node, and let it reach the file server"),
        (r"", "look at the claims and their events: kubectl describe pvc"),
    ),
    Trouble.SCHEDULING: (
        (r"Insufficient|Too many pods", "add a node, free what is named on one, or let the pod request less"),
        (r"not-ready|unreachable|-pressure|unschedulable",
         "get the nodes well: kubectl get nodes shows which are not ready or cordoned"),
        (r"taint", "let the pod tolerate the taint that is named, or take it from a node"),
        (r"affinity|selector|node name", "correct the pod's node selector or affinity, or label a node to fit"),
        (r"", "compare what the pod asks for with what the nodes have: kubectl describe nodes"),
    ),
    Trouble.QUOTA: (
        (r"must specify", "set the requests and limits that are named, or defaults for them with a LimitRange"),
        (r"quota", "free something in the namespace, request less, or have its ResourceQuota raised"),
        (r"(maximum|minimum) .*(usage|limit)|max limit to request",
         "keep to the namespace's LimitRange, or have it changed"),
        (r"PodSecurity",
         "keep to this level in the pod's securityContext and volumes, or have the namespace's"
         " label pod-security.kubernetes.io/enforce changed"),
        (r"failed calling webhook", "get the webhook's service well, or remove its configuration"),
        (r"", "change the pod as the rule that is named asks, or have the rule changed"),
    ),
    Trouble.NODE: (
        (r"", "look at the network plugin's pods and at the kubelet's log on this node; another node may do"),
    ),
    Trouble.EVICTED: (
        (r"low on resource|ephemeral", "free what is named on the node, or let the pod request as much as it uses"),
        (r"", "see that the node stays up and has room (kubectl describe node), and start the pod again"),
    ),
}  # fmt: skip
"""For each trouble, what helps by words in its cause: the first that match; the last always does."""
