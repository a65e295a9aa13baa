include { writeCases } from './cases'

// Landmark errors, robustness, regularity and time, from the files of the registrations alone.
process EVALUATE {
    tag "${meta.method}, ${meta.id}"
    label 'image'

    input:
    // named: the landmarks and lesions that the cases name; they are only declared.
    tuple val(meta), path(registrations, stageAs: 'registration/*'), path(prepared, stageAs: 'prepared/*'), val(cases), path(named, stageAs: 'named/?')
    val package_digest

    output:
    path 'evaluation/*/*', type: 'dir', emit: evaluations
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    """
    ${writeCases(cases)}
    wssamnet --threads ${task.cpus} evaluate registration/* \$(printf -- '--prepared %s ' prepared/*) \\
        \$(printf -- '--cases %s ' cases/*.json) --out evaluation
    """

    stub:
    """
    for case in registration*/*; do mkdir -p evaluation/${meta.method}/\$(basename \$case); done
    """
}
