include { writeCases } from './cases'

// Brain box, intensities, affine pre-alignment, landmarks' ROIs.
process PREPROCESS {
    tag "${meta.id}"
    label 'image'

    input:
    // cases: one JSON text a case, with absolute paths; the files are what they name, and are only declared.
    tuple val(meta), val(cases), path(files, stageAs: 'files/?'), val(options)
    val package_digest

    output:
    tuple val(options), path('prepared/*', type: 'dir'), emit: prepared
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    """
    ${writeCases(cases)}
    wssamnet --threads ${task.cpus} preprocess cases/*.json --out prepared ${options}
    """

    stub:
    """
    mkdir -p ${meta.ids.collect { id -> "prepared/${id}" }.join(' ')}
    """
}
