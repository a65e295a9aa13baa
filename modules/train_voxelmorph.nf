// The VoxelMorph baseline, on the same training cases.
process TRAIN_VOXELMORPH {
    tag "${meta.id}"
    label 'training'

    input:
    tuple val(meta), path(prepared, stageAs: 'prepared/*'), val(options)
    val package_digest

    output:
    tuple val(meta), path("models/${meta.id}/voxelmorph"), emit: model
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    """
    wssamnet --threads ${task.cpus} train-voxelmorph prepared/* \\
        --out models/${meta.id}/voxelmorph --time-limit ${task.time.toSeconds()} ${options}
    """

    stub:
    """
    mkdir -p models/${meta.id}/voxelmorph
    """
}
