// One of the two segmentation U-Nets: where the landmarks are, in the fixed or in the moving volume.
process TRAIN_SEGMENTATION {
    tag "${meta.id}, ${side}"
    label 'training'

    input:
    tuple val(meta), val(side), path(prepared, stageAs: 'prepared/*'), val(options)
    val package_digest

    output:
    tuple val(meta), val(side), path("models/${meta.id}/segmentation_${side}"), emit: model
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    """
    wssamnet --threads ${task.cpus} train-segmentation ${side} prepared/* \\
        --out models/${meta.id}/segmentation_${side} --time-limit ${task.time.toSeconds()} ${options}
    """

    stub:
    """
    mkdir -p models/${meta.id}/segmentation_${side}
    """
}
