// The registration network learns rotation, scaling and translation first, on augmented volumes.
process PRETRAIN {
    tag "${meta.id}"
    label 'training'

    input:
    tuple val(meta), path(prepared, stageAs: 'prepared/*'), path(segmentation_fixed), path(segmentation_moving), val(options)
    val package_digest

    output:
    tuple val(meta), path("models/${meta.id}/pretrained"), emit: model
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    """
    wssamnet --threads ${task.cpus} pretrain prepared/* \\
        --segmentation-fixed ${segmentation_fixed} --segmentation-moving ${segmentation_moving} \\
        --out models/${meta.id}/pretrained --time-limit ${task.time.toSeconds()} ${options}
    """

    stub:
    """
    mkdir -p models/${meta.id}/pretrained
    """
}
