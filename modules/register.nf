// Any method: every one leaves the same files, so nothing downstream knows which it was.
process REGISTER {
    tag "${meta.method}, ${meta.id}"
    label 'image'

    input:
    // model: empty for the methods that need none. own: the file of a registrar that is not ours.
    // Of several cases those that fail are left out; alone a case must not fail.
    tuple val(meta), path(prepared, stageAs: 'prepared/*'), path(model, stageAs: 'model'), path(own, stageAs: 'own/*'), val(options), val(package_digest)

    output:
    tuple val(meta), path("registration/${meta.method}/*", type: 'dir', arity: '0..*'), emit: registrations
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    def learned = model ? '--model model' : ''
    def several = meta.ids.size() > 1 ? '--skip-failed ' : ''
    """
    wssamnet --threads ${task.cpus} register-cases ${meta.registrar} prepared/* ${learned} --out registration ${several}${options}
    """

    stub:
    """
    for case in prepared/*; do mkdir -p registration/${meta.method}/\$(basename \$case); done
    """
}
