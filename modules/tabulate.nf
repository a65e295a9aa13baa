include { writeText } from './cases'

// The paper's table, one column a method, and the tables behind it; with variants, a table of them too.
process TABULATE {
    label 'light'

    input:
    path evaluations, stageAs: 'evaluation?/*'
    val planned // CSV: method, case, and why it is missing
    val variants // which evaluations are of variants, as CSV; may be empty
    val options
    val package_digest

    output:
    path 'tables', type: 'dir', emit: tables
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    """
    ${writeText('planned.csv', planned)}
    ${variants ? writeText('variants.csv', variants) : ''}
    wssamnet --threads ${task.cpus} tables ${evaluations ? 'evaluation*/*' : ''} --planned planned.csv ${variants ? '--variants variants.csv' : ''} --out tables ${options}
    """

    stub:
    """
    mkdir tables
    ${writeText('tables/table1.md', planned)}
    ${variants ? writeText('tables/ablations.csv', variants) : ''}
    """
}
