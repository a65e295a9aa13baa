// Another tool's results become the files that every method leaves.
process EXTERNAL {
    tag "${meta.method}, ${meta.id}"
    label 'image'

    input:
    // source: the tool's folder, quoted for bash; results: the files in it that belong to the cases, only declared.
    tuple val(meta), path(prepared, stageAs: 'prepared/*'), path(results, stageAs: 'results?/*'), val(source)
    val package_digest

    output:
    tuple val(meta), path("registration/${meta.method}/*", type: 'dir'), emit: registrations
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    """
    wssamnet --threads ${task.cpus} external ${meta.method} ${source} prepared/* --out registration
    """

    stub:
    """
    for case in prepared/*; do mkdir -p registration/${meta.method}/\$(basename \$case); done
    """
}
