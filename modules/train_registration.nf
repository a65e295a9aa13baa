// WSSAMNet itself, from the segmentation networks and, where there is one, the pretrained registration network.
process TRAIN_REGISTRATION {
    tag "${meta.id}"
    label 'training'

    input:
    tuple val(meta), path(prepared, stageAs: 'prepared/*'), path(segmentation_fixed), path(segmentation_moving), path(pretrained), val(options)
    val package_digest

    output:
    tuple val(meta), path("models/${meta.id}/wssamnet"), emit: model
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    def start = pretrained ? "--pretrained ${pretrained}" : ''
    """
    wssamnet --threads ${task.cpus} train-registration prepared/* \\
        --segmentation-fixed ${segmentation_fixed} --segmentation-moving ${segmentation_moving} ${start} \\
        --out models/${meta.id}/wssamnet --time-limit ${task.time.toSeconds()} ${options}
    """

    stub:
    """
    mkdir -p models/${meta.id}/wssamnet
    """
}
